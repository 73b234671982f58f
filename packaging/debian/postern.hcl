# Postern's config. Read at the start; SIGHUP (systemctl reload postern) opens certificates and audit files anew.

storage "sqlite" {
  path = "/var/lib/postern/postern.db"
}

# Only root and the service itself come in here, until the server is initialised:
#   POSTERN_ADDR=unix:///run/postern/postern.sock postern operator init
listener "unix" {
  address = "/run/postern/postern.sock"
}

# For everybody else. The key has to be readable for the user postern: chgrp postern, chmod 640.
# listener "tcp" {
#   address       = "0.0.0.0:8200"
#   tls_cert_file = "/etc/postern/cert.pem"
#   tls_key_file  = "/etc/postern/key.pem"
# }

audit "file" "file" {
  options = {
    file_path = "/var/log/postern/audit.log"
  }
}
