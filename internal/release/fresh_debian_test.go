package release

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// onFreshDebian begins the script of a fresh machine: Stripe and the panel are the program's own
// simulators, with four customers who pay for the price that the README maps, and one who pays
// for another. Each function does by the nearest means here what the pages do by a program that
// wants a running system.
const onFreshDebian = `
settings=/etc/stripe-enhance/env
key=0123456789abcdef0123456789abcdef
test -c /dev/null || mknod -m 666 /dev/null c 1 3
ip link set lo up
until_so() { n=0; until "$@"; do n=$((n+1)); test $n -lt 300 || { cat /packages/journal; exit 1; }; sleep 0.2; done; }
# as USER COMMAND...: with no more than systemd, cron and sudo give it.
as() { user=$1; shift; env -i PATH=/usr/local/bin:/usr/bin:/bin setpriv --reuid "$user" --regid "$user" --clear-groups "$@"; }
by_service() { (cd /var/lib/stripe-enhance && as stripe-enhance sh -c "$1"); }
held() { by_service 'stripe-enhance plans -o json' | sed -n 's/^    "id": "\(.*\)",$/\1/p'; }
printed() { sed -n "s/^export $1=//p" /packages/printed; }
# set_to NAME VALUE: the line is there already, perhaps as a comment.
set_to() { grep -q "^#*$1=" $settings || exit 1; sed -i "s|^#*$1=.*|$1=$2|" $settings; }
of_unit() { sed -n "s/^$1=//p" "/usr/lib/systemd/system/$unit"; }
start() {
    unit=$1
    test "$(of_unit WantedBy)" = multi-user.target
    (cd "$(of_unit WorkingDirectory)" && umask "$(of_unit UMask)" &&
        exec env -i PATH=/usr/local/bin:/usr/bin:/bin $(of_unit Environment) setpriv --reuid "$(of_unit User)" --regid "$(of_unit User)" --clear-groups --no-new-privs $(of_unit ExecStart)) >/packages/journal 2>&1 &
    service=$!
}
sudo() {
    case "$*" in
    'apt install ./stripe-enhance_'*'_linux_amd64.deb') dpkg -i /packages/*.deb ;;
    'editor /etc/stripe-enhance/env') edited ;;
    'systemctl enable --now '*) start "$4" ;;
    'sed -i '*) "$@" ;;
    --user=*) user=${1#--user=}; shift; as "$user" "$@" ;;
    *) : how is this to be done here; exit 1 ;;
    esac
}
simulate() {
    as stripe-enhance stripe-enhance simulate --calm --customers 0 >/packages/printed 2>/packages/simulating &
    until_so grep -qF simulating /packages/simulating
    controls=$(printed STRIPE_API_URL)/_sim
    order() { curl -fsS -X POST "$controls/signup?email=$1@example.com&price=$2"; }
    for who in bakery florist cinema bookshop; do order $who price_basic_monthly; done
    order museum price_pro_monthly
}
edited() {
    simulate
    # What the pages leave out: where the simulator of Stripe is, no waiting, a brake as small as the town, and the dashboard.
    printf '%s\n' "STRIPE_API_URL=$(printed STRIPE_API_URL)" STRIPE_RPS=1000 ENHANCE_RPS=1000 BRAKE_CREATE=3 ADMIN_API_KEY=$key >>$settings
`

// withTheService is the end of the script: the service of the package, as a browser, a
// program with the key, and a buyer see it.
const withTheService = `
: the service answers
url=http://127.0.0.1:8080
until_so curl -fsS $url/readyz
browser() { curl -fsSL -H 'Accept: text/html' -b /packages/cookies -c /packages/cookies "$@" >/packages/page; }
browser $url/
grep -F 'type="password" name="key"' /packages/page
browser --data-urlencode "key=$key" --data-urlencode next=/ $url/ui/sign-in
grep -F 'action="/ui/sign-out"' /packages/page
test "$(curl -sS -o /packages/refused -w '%{http_code}' $url/api/admin/dashboard)" = 401
dashboard() { curl -fsS -H "Authorization: Bearer $key" "$url/api/admin/dashboard" >/packages/dashboard; }
dashboard
grep -F '"subscriptions"' /packages/dashboard

: an order becomes a hosting
hostings() { curl -fsS "$controls/state" >/packages/state; grep -qF "\"hostings\": $1," /packages/state; }
hostings 4
order library price_basic_monthly
curl -fsS -H "Authorization: Bearer $key" -X POST $url/api/admin/sync
until_so hostings 5
grep -F '"violations": 0' /packages/state

: it ends as it should, and the settings are still those of the package
kill -TERM $service
wait $service
grep -F '"msg":"stopped"' /packages/journal
test "$(readlink /var/lib/stripe-enhance/.env)" = $settings
grep -Fx MODE=enforce $settings
test "$(stat -c '%U:%G %a' $settings)" = 'root:stripe-enhance 640'
test "$(stat -c '%U %a' /var/lib/stripe-enhance/stripe-enhance.db)" = 'stripe-enhance 600'
`

// here are the values of this machine in place of the pages' examples.
var here = strings.NewReplacer(
	" basic-hosting-plan", " Basic",
	"PLAN_ID", `'"$(held)"'`,
	"cd /srv/stripe-enhance && ./stripe-enhance ", "cd /var/lib/stripe-enhance && stripe-enhance ",
)

// ofSimulator are the settings whose values the simulators choose.
var ofSimulator = regexp.MustCompile(`^(STRIPE_SECRET_KEY|ENHANCE_API_URL|ENHANCE_API_TOKEN|ENHANCE_ORG_ID)=`)

// ends are the commands that do not end with 0: one customer pays for a price without a mapping.
var ends = map[string]int{
	"cd /var/lib/stripe-enhance && sudo --user=stripe-enhance stripe-enhance check": 1,
	"stripe-enhance check":     1,
	"stripe-enhance plan":      3,
	"stripe-enhance reconcile": 3,
	"cd /srv/stripe-enhance && ./stripe-enhance reconcile >> reconcile.log 2>&1":        3,
	"cd /srv/stripe-enhance && ./stripe-enhance reconcile --full >> reconcile.log 2>&1": 3,
}

// piece is a piece of code of a page, in the step of a list in which it is ("" outside).
type piece struct{ step, language, text string }

// listed matches the first line of a step.
var listed = regexp.MustCompile(`^\d+\. `)

// pieces are those of a section, in order.
func pieces(t *testing.T, page, title string) (all []piece) {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, page), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", page, title)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	step, open := "", false
	for line := range strings.Lines(rest) {
		trimmed := strings.TrimSpace(line)
		language, fence := strings.CutPrefix(trimmed, "```")
		switch {
		case fence && !open:
			open, all = true, append(all, piece{step: step, language: language})
		case fence:
			open = false
		case open:
			all[len(all)-1].text += trimmed + "\n"
		case listed.MatchString(line):
			step, _, _ = strings.Cut(line, ".")
		}
	}
	return all
}

// ended is a command of the script, and with which code it has to end.
func ended(line, command string) string {
	if ends[line] == 0 {
		return "\n" + command + "\n"
	}
	return fmt.Sprintf("\ncode=0; %s || code=$?\ntest $code = %d\n", command, ends[line])
}

var cronLine = regexp.MustCompile(`^(?:@\w+|\S+ \S+ \S+ \S+ \S+)\s+(cd /\S+ && .*)$`)

// installed are the commands of the package's page, in its three parts: up to the check, the
// change of the mode, and the service.
func installed(t *testing.T) (install, mode, enable string) {
	t.Helper()
	for _, p := range pieces(t, "docs/install.md", "Packages") {
		if p.language != "sh" {
			t.Fatalf("docs/install.md: how is this kind of code (%q) to be tried?", p.language)
		}
		for line := range strings.Lines(p.text) {
			switch line = strings.TrimSpace(line); {
			case strings.HasPrefix(line, "sudo sed "):
				mode += line
			case strings.HasPrefix(line, "sudo systemctl "):
				enable += "\n" + line + "\n"
			default:
				install += ended(line, line)
			}
		}
	}
	return install, mode, enable
}

// followed is the script of a person who installs the package and then follows the README.
func followed(t *testing.T) string {
	t.Helper()
	install, mode, enable := installed(t)
	var edit, steps string
	byService := func(line, command string) {
		command = strings.ReplaceAll(command, "'", `'\''`)
		steps += ended(line, "by_service '"+here.Replace(command)+"'")
	}
	for _, p := range pieces(t, "README.md", "Ten minutes to production") {
		if p.step == "1" {
			continue // the package is in its place
		}
		for line := range strings.Lines(p.text) {
			line = strings.TrimSpace(line)
			switch when := cronLine.FindStringSubmatch(line); {
			case p.language == "ini":
				name, value, ok := strings.Cut(line, "=")
				if !ok {
					t.Fatalf("README.md: %q is not NAME=value", line)
				}
				if ofSimulator.MatchString(line) {
					value = "$(printed " + name + ")"
				}
				edit += fmt.Sprintf("    set_to %s \"%s\"\n", name, value)
			case p.language == "sh" && "sudo "+strings.Replace(line, " .env", " /etc/stripe-enhance/env", 1) == mode:
				steps += ended(mode, mode)
			case p.language == "sh":
				byService(line, line)
			case p.language == "cron" && when != nil:
				byService(when[1], when[1])
			default:
				t.Fatalf("README.md: how is this kind of code (%q) to be tried? %s", p.language, line)
			}
		}
	}
	if edit == "" || !strings.Contains(steps, mode) || mode == "" || enable == "" {
		t.Fatalf("the pages no longer write the settings, change the mode in them (%q), or enable the service (%q)", mode, enable)
	}
	return onFreshDebian + edit + "}\n" + install + steps + enable + withTheService
}

// A fresh Debian gets the package, and then each command of the pages, as it stands there, as
// the service's user. Seen to fail with `stripe-enhance mapping set` in the README, with a block
// of toml there, and with the README's own `sed -i` on the link to the settings, which puts a
// file in the link's place: the package's page has a command for that step.
func TestAFreshDebianFollowsTheREADME(t *testing.T) {
	needDebian(t)
	for _, name := range []string{"ip", "curl"} {
		needs.Program(t, name)
	}
	tried(t, followed(t), packaged(t, built(t).one, first, "deb"))
}
