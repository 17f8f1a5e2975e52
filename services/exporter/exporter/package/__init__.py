"""Records to encrypted files in the object store: parts, zip, CMS. Independent of runs, Kafka and our tables."""
