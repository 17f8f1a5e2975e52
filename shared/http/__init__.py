"""What every HTTP service does: application, identity, problem documents."""
