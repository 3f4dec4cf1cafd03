"""What Tuleap means: tickets, messages, rights, topics. Pure."""
