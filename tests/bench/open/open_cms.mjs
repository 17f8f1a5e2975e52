// `node open_cms.mjs KEY CERTIFICATE FILE` decrypts with node-forge, which is found in NODE_MODULES.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const forge = createRequire(`${process.env.NODE_MODULES}/`)("node-forge");
const [keyFile, certificateFile, file] = process.argv.slice(2);
const key = forge.pki.privateKeyFromPem(readFileSync(keyFile, "utf8"));
const certificate = forge.pki.certificateFromPem(readFileSync(certificateFile, "utf8"));
const message = forge.pkcs7.messageFromAsn1(forge.asn1.fromDer(readFileSync(file, "binary")));
message.decrypt(message.findRecipient(certificate), key);
process.stdout.write(Buffer.from(message.content.getBytes(), "binary"));
