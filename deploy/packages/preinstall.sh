#!/bin/sh
# Makes the user before the files are unpacked, because some of them belong to it.
set -e
if ! id -u stripe-enhance >/dev/null 2>&1; then
    if command -v useradd >/dev/null 2>&1; then
        useradd --system --user-group --home-dir /var/lib/stripe-enhance --no-create-home \
            --shell /usr/sbin/nologin stripe-enhance
    else
        addgroup -S stripe-enhance
        adduser -S -D -H -h /var/lib/stripe-enhance -s /sbin/nologin -G stripe-enhance stripe-enhance
    fi
fi
