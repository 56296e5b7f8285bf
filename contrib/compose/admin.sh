#!/bin/sh
# Runs in the image of the forge: makes its administrator, and a token that `init` uses once and removes.
set -eu
umask 077
if ! gitea admin user list --admin | awk '{ print $2 }' | grep -qx "$ADMIN"; then
  gitea admin user create --admin --username "$ADMIN" --password "$ADMIN_PASSWORD" \
    --email "$ADMIN@localhost.invalid" --must-change-password=false
fi
gitea admin user generate-access-token --username "$ADMIN" --token-name "lazarus-setup-$(date +%s)" \
  --scopes all --raw >/var/lib/gitea/lazarus-setup.token
