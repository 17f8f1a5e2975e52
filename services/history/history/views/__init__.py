"""The documents of the API by resource, and how rows become them."""
