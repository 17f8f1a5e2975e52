// `go run . KEY CERTIFICATE FILE` decrypts with github.com/smallstep/pkcs7.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"log"
	"os"

	"github.com/smallstep/pkcs7"
)

func read(file string) []byte {
	data, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes
	}
	return data
}

func main() {
	key, err := x509.ParsePKCS8PrivateKey(read(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(read(os.Args[2]))
	if err != nil {
		log.Fatal(err)
	}
	envelope, err := pkcs7.Parse(read(os.Args[3]))
	if err != nil {
		log.Fatal(err)
	}
	content, err := envelope.Decrypt(certificate, key)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := os.Stdout.Write(content); err != nil {
		log.Fatal(err)
	}
}
