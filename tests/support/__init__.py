"""What tests share: real registries, certificates, a token server, images."""
