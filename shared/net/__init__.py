"""Outgoing connections to addresses that customers name: public addresses only, checked and then used (rule D9)."""
