"""What every page is built from: templates, forms, lists, notices and plots."""
