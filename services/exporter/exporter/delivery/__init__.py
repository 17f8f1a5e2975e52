"""Deliveries: a succeeded run's files, and then its manifest, go to the customer's own storage (rules D1 to D11)."""
