"""What Tuleap means: tokens, messages, rights, topics, campaigns. Pure."""
