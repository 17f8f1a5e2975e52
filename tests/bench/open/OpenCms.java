import java.io.BufferedInputStream;
import java.io.FileInputStream;
import java.io.FileReader;
import java.io.InputStream;
import java.security.PrivateKey;
import java.util.Collection;
import java.util.zip.ZipInputStream;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataParser;
import org.bouncycastle.cms.KeyAgreeRecipientId;
import org.bouncycastle.cms.KeyTransRecipientId;
import org.bouncycastle.cms.RecipientId;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;

/** `OpenCms cbc|gcm KEY CERTIFICATE FILE` decrypts with Bouncy Castle; `OpenCms zip FILE` unpacks with ZipInputStream. */
public final class OpenCms {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("zip")) {
            unpack(arguments[1]);
        } else {
            decrypt(arguments[0].equals("gcm"), arguments[1], arguments[2], arguments[3]);
        }
        System.out.flush();
    }

    private static void unpack(String file) throws Exception {
        try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(new FileInputStream(file)))) {
            while (zip.getNextEntry() != null) {
                zip.transferTo(System.out);
            }
        }
    }

    private static void decrypt(boolean gcm, String keyFile, String certificateFile, String file) throws Exception {
        PrivateKey key = new JcaPEMKeyConverter().getPrivateKey((PrivateKeyInfo) read(keyFile));
        X509CertificateHolder certificate = (X509CertificateHolder) read(certificateFile);
        boolean rsa = key.getAlgorithm().equals("RSA");
        RecipientId id = rsa ? new KeyTransRecipientId(certificate.getIssuer(), certificate.getSerialNumber())
            : new KeyAgreeRecipientId(certificate.getIssuer(), certificate.getSerialNumber());
        try (InputStream in = new BufferedInputStream(new FileInputStream(file))) {
            RecipientInformationStore recipients = gcm ? new CMSAuthEnvelopedData(in).getRecipientInfos()
                : new CMSEnvelopedDataParser(in).getRecipientInfos();
            Collection<RecipientInformation> found = recipients.getRecipients(id);
            found.iterator().next().getContentStream(recipient(key, rsa, gcm)).getContentStream().transferTo(System.out);
        }
    }

    private static Recipient recipient(PrivateKey key, boolean rsa, boolean gcm) {
        BouncyCastleProvider provider = new BouncyCastleProvider();
        if (rsa) {
            return gcm ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider(provider)
                : new JceKeyTransEnvelopedRecipient(key).setProvider(provider);
        }
        return gcm ? new JceKeyAgreeAuthEnvelopedRecipient(key).setProvider(provider)
            : new JceKeyAgreeEnvelopedRecipient(key).setProvider(provider);
    }

    private static Object read(String file) throws Exception {
        try (PEMParser parser = new PEMParser(new FileReader(file))) {
            return parser.readObject();
        }
    }
}
