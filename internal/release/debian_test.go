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
mkdir "$1/root/packages"
cp "$2" "$1/root/packages/first.deb"
cp "$3" "$1/root/packages/second.deb"
exec chroot "$1/root" sh -euxc "$4"
`

// onDebian is the life of the package on a machine.
const onDebian = `
as_service() { (cd /var/lib/stripe-enhance && setpriv --reuid stripe-enhance --regid stripe-enhance --clear-groups "$@"); }
checked() { code=0; as_service stripe-enhance check >/packages/checked 2>&1 || code=$?; cat /packages/checked; test $code = 1; }

: it is installed, with a user of its own, and nothing that it does not need
dpkg -i /packages/first.deb
stripe-enhance version | grep -F 'stripe-enhance 1.0.0 '
test "$(stat -c '%U:%G %a' /var/lib/stripe-enhance)" = 'stripe-enhance:stripe-enhance 700'
test "$(stat -c '%U:%G %a' /etc/stripe-enhance)" = 'root:stripe-enhance 750'
test "$(stat -c '%U:%G %a' /etc/stripe-enhance/env)" = 'root:stripe-enhance 640'
test "$(stat -c '%U:%G %a' /usr/bin/stripe-enhance)" = 'root:root 755'
for file in man/man1/stripe-enhance.1 man/man1/stripe-enhance-plan.1 man/man5/stripe-enhance-configuration.5 \
    bash-completion/completions/stripe-enhance doc/stripe-enhance/copyright doc/stripe-enhance/THIRD_PARTY_NOTICES.md; do
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
dpkg -i /packages/second.deb
stripe-enhance version | grep -F 'stripe-enhance 1.1.0 '
checked
grep -F GRACE_PERIOD /packages/checked

: so does a removal, which keeps the database too
dpkg -r stripe-enhance
test ! -e /usr/bin/stripe-enhance
test ! -e /usr/lib/systemd/system/stripe-enhance-serve.service
grep -Fx GRACE_PERIOD=nonsense /etc/stripe-enhance/env
test -e /var/lib/stripe-enhance/stripe-enhance.db
dpkg -i /packages/second.deb
checked
grep -F GRACE_PERIOD /packages/checked

: a purge takes the settings, and never the database
dpkg -P stripe-enhance
test ! -e /etc/stripe-enhance/env
test -e /var/lib/stripe-enhance/stripe-enhance.db

: settings of an installation by hand stay
rm /var/lib/stripe-enhance/.env
echo MODE=provision >/var/lib/stripe-enhance/.env
dpkg -i /packages/first.deb
grep -Fx MODE=provision /var/lib/stripe-enhance/.env
test ! -L /var/lib/stripe-enhance/.env
`

func TestThePackageForDebianIsInstalledUpgradedAndRemoved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can install a package")
	}
	for _, name := range []string{"dpkg", "unshare", "setpriv", "chroot"} {
		needs.Program(t, name)
	}
	b := built(t)
	debs := []string{packaged(t, b.one, first, "deb"), packaged(t, b.next, second, "deb")}
	layer := filepath.Join(t.TempDir(), "layer")
	if err := os.Mkdir(layer, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", inACopy, "sh", layer, debs[0], debs[1], onDebian)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 77:
		needs.Missing(t, "this machine allows no layer over its root directory:\n%s", out)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
