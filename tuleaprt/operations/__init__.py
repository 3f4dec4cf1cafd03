"""What an administrator sees: logs, metrics, the protocol of systemd."""
