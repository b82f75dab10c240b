package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// inACopy makes this machine's root directory with a layer in memory over it, in a
// namespace of its own, and runs a script there: all that it changes is gone afterwards.
// Exit code 77: this machine allows no such layer.
const inACopy = `
set -eu
mount -t tmpfs tmpfs "$1" || exit 77
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" || exit 77
mount -t proc proc "$1/root/proc" || exit 77
layer=$1 script=$2
shift 2
mkdir "$layer/root/packages"
cp "$@" "$layer/root/packages/"
exec chroot "$layer/root" sh -euxc "$script"
`

// onDebian is the life of the package on a machine.
const onDebian = `
as_service() { (cd /var/lib/stripe-enhance && setpriv --reuid stripe-enhance --regid stripe-enhance --clear-groups "$@"); }
checked() { code=0; as_service stripe-enhance check >/packages/checked 2>&1 || code=$?; cat /packages/checked; test $code = 1; }

: it is installed, with a user of its own, and nothing that it does not need
dpkg -i /packages/stripe-enhance-1.0.0.deb
stripe-enhance version | grep -F 'stripe-enhance 1.0.0 '
test "$(stat -c '%U:%G %a' /var/lib/stripe-enhance)" = 'stripe-enhance:stripe-enhance 700'
test "$(stat -c '%U:%G %a' /etc/stripe-enhance)" = 'root:stripe-enhance 750'
test "$(stat -c '%U:%G %a' /etc/stripe-enhance/env)" = 'root:stripe-enhance 640'
test "$(stat -c '%U:%G %a' /usr/bin/stripe-enhance)" = 'root:root 755'
for file in man/man1/stripe-enhance.1 man/man1/stripe-enhance-plan.1 man/man5/stripe-enhance-configuration.5 \
    bash-completion/completions/stripe-enhance doc/stripe-enhance/copyright \
    doc/stripe-enhance/docs/held.md doc/stripe-enhance/docs/ro/held.md doc/stripe-enhance/THIRD_PARTY_NOTICES.md; do
    dpkg -L stripe-enhance | grep -Fx /usr/share/$file
done

: the program finds its settings and its directory
checked
grep -F STRIPE_SECRET_KEY /packages/checked
as_service stripe-enhance migrate
test "$(stat -c '%U %a' /var/lib/stripe-enhance/stripe-enhance.db)" = 'stripe-enhance 600'

: systemd understands its units, and finds the program
if command -v systemd-analyze; then
    systemd-analyze verify /usr/lib/systemd/system/stripe-enhance*.service /usr/lib/systemd/system/stripe-enhance*.timer >/packages/verified 2>&1 || { cat /packages/verified; exit 1; }
    if grep stripe-enhance /packages/verified; then exit 1; fi
fi

: an upgrade keeps the settings
echo 'GRACE_PERIOD=nonsense' >>/etc/stripe-enhance/env
dpkg -i /packages/stripe-enhance-1.1.0.deb
stripe-enhance version | grep -F 'stripe-enhance 1.1.0 '
checked
grep -F GRACE_PERIOD /packages/checked

: so does a removal, which keeps the database too
dpkg -r stripe-enhance
test ! -e /usr/bin/stripe-enhance
test ! -e /usr/lib/systemd/system/stripe-enhance-serve.service
grep -Fx GRACE_PERIOD=nonsense /etc/stripe-enhance/env
test -e /var/lib/stripe-enhance/stripe-enhance.db
dpkg -i /packages/stripe-enhance-1.1.0.deb
checked
grep -F GRACE_PERIOD /packages/checked

: a purge takes the settings, and never the database
dpkg -P stripe-enhance
test ! -e /etc/stripe-enhance/env
test -e /var/lib/stripe-enhance/stripe-enhance.db

: settings of an installation by hand stay
rm /var/lib/stripe-enhance/.env
echo MODE=provision >/var/lib/stripe-enhance/.env
dpkg -i /packages/stripe-enhance-1.0.0.deb
grep -Fx MODE=provision /var/lib/stripe-enhance/.env
test ! -L /var/lib/stripe-enhance/.env
`

// tried runs a script with these files in /packages in such a copy. Only root can.
func tried(t *testing.T, script string, files ...string) {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer")
	if err := os.Mkdir(layer, 0o700); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", inACopy, "sh", layer, script}, files...)
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 77:
		// Nothing that CI could install allows it.
		t.Skipf("this machine allows no layer over its root directory:\n%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func needDebian(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can install a package")
	}
	for _, name := range []string{"dpkg", "unshare", "setpriv", "chroot"} {
		needs.Program(t, name)
	}
}

func TestThePackageForDebianIsInstalledUpgradedAndRemoved(t *testing.T) {
	needDebian(t)
	b := built(t)
	tried(t, onDebian, packaged(t, b.one, first, "deb"), packaged(t, b.next, second, "deb"))
}

// underOpenRC is the service of the package for Alpine under the real OpenRC, which Debian has
// too. Nothing here answers as Stripe or the panel.
const underOpenRC = `
dpkg --force-all --unpack /packages/*.deb
ldconfig
touch /etc/insserv.conf
for state in starting started stopping inactive wasinactive failed scheduled exclusive options daemons tmp; do mkdir -p /run/openrc/$state; done
echo default >/run/openrc/softlevel
printf '#!/sbin/openrc-run\ndepend() { provide net; }\nstart() { :; }\n' >/etc/init.d/wire
chmod 755 /etc/init.d/wire
until_so() { n=0; until "$@"; do n=$((n+1)); test $n -lt 300 || { cat /var/log/stripe-enhance.log; exit 1; }; sleep 0.2; done; }

: the files of the package
mkdir /packages/apk
tar -xzf /packages/stripe-enhance-1.0.0.apk -C /packages/apk
test "$(stat -c %a /packages/apk/etc/init.d/stripe-enhance)" = 755
grep -F rc-service /packages/apk/.post-install
grep -F rc-service /packages/apk/.post-upgrade
grep -F rc-service /packages/apk/.pre-deinstall
sh /packages/apk/.pre-install
cp /packages/apk/usr/bin/stripe-enhance /usr/bin/
cp /packages/apk/etc/init.d/stripe-enhance /etc/init.d/
mkdir -p /var/lib/stripe-enhance
chown stripe-enhance: /var/lib/stripe-enhance

: without settings it ends, and OpenRC begins it again
rc-service stripe-enhance start
until_so grep -F 'STRIPE_SECRET_KEY: is not set' /var/log/stripe-enhance.log
test "$(stat -c '%U %a' /var/log/stripe-enhance.log)" = 'stripe-enhance 640'
cat >/var/lib/stripe-enhance/.env <<end
STRIPE_API_URL=http://127.0.0.1:1
STRIPE_SECRET_KEY=sk_test_0123456789abcdef
ENHANCE_API_URL=http://127.0.0.1:2
ENHANCE_API_TOKEN=token
ENHANCE_ORG_ID=4f3c2b1a-1111-2222-3333-444455556666
LISTEN_ADDR=127.0.0.1:0
end
chown stripe-enhance: /var/lib/stripe-enhance/.env
chmod 600 /var/lib/stripe-enhance/.env
until_so grep -F 'serving on http://' /var/log/stripe-enhance.log
rc-service stripe-enhance status
test "$(stat -c '%U %a' /var/lib/stripe-enhance/stripe-enhance.db)" = 'stripe-enhance 600'

: an upgrade begins the new one
sh /packages/apk/.post-upgrade
twice() { test "$(grep -cF 'serving on http://' /var/log/stripe-enhance.log)" = 2; }
until_so twice

: and it ends as it should
rc-service stripe-enhance stop
test "$(grep -cF '"msg":"stopped"' /var/log/stripe-enhance.log)" = 2
`

func TestTheServiceRunsUnderOpenRC(t *testing.T) {
	script := filepath.Join(root, "deploy", "packages", "stripe-enhance.initd")
	if out, err := exec.CommandContext(t.Context(), "sh", "-n", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	needDebian(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(cache, "stripe-enhance", "openrc", "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		needs.Missing(t, "Debian's package openrc is not in the cache: make ci-deps puts it there")
	}
	tried(t, underOpenRC, append(files, packaged(t, built(t).one, first, "apk"))...)
}
