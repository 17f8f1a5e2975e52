"""What every page is built from: services, identity, templates, forms, lists, notices and plots."""
