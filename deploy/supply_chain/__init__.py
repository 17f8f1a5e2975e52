"""What Sluice is made of: the bill of materials of its Python packages."""
