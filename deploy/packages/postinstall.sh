#!/bin/sh
# Nothing is enabled or started by an installation: there are no settings yet. After an
# upgrade the service starts anew if it was running; it first finishes the change in hand.
set -e
# A .env that is there already stays: it has the settings of an installation by hand.
link=/var/lib/stripe-enhance/.env
if [ ! -e "$link" ] && [ ! -L "$link" ]; then
    ln -s /etc/stripe-enhance/env "$link"
fi
if [ -d /run/openrc ] && command -v rc-service >/dev/null 2>&1; then
    rc-service --ifstarted stripe-enhance restart || :
fi
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
systemctl try-restart stripe-enhance-serve.service
