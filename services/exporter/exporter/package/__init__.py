"""Records to encrypted files in the object store: zip, CMS, parts. Knows no run, no Kafka and no table."""
