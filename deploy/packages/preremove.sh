#!/bin/sh
# Stops what runs, if the package goes. An upgrade stops nothing here.
set -e
if [ -d /run/openrc ] && command -v rc-service >/dev/null 2>&1; then
    rc-service --ifstarted stripe-enhance stop || :
    rc-update --all del stripe-enhance || :
fi
[ -d /run/systemd/system ] || exit 0
case "${1:-remove}" in
upgrade | failed-upgrade | 1) exit 0 ;;
esac
systemctl disable --now stripe-enhance-serve.service stripe-enhance.timer stripe-enhance-full.timer || :
systemctl stop stripe-enhance.service stripe-enhance-full.service || :
