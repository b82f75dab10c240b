#!/bin/sh
# The settings, the database and their user stay: the database knows which hosting is
# whose, and an installation without it would have to ask a person about each customer.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
