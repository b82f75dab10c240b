package store

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// pseudonymPrefix begins every pseudonym. None of them is an e-mail that could be written to.
const pseudonymPrefix = "erased-"

// scrub replaces the names and the e-mails of one customer.
type scrub struct {
	key    []byte            // random, and kept nowhere
	emails map[string]string // by reconcile.EmailKey: pseudonyms
	names  map[string]string // in lower case: pseudonyms
	ids    map[string]bool   // of the customer; they stay, also if one is an e-mail
	// strangers means that the rows are about others: only sentences change, and a name of
	// one word only in quotes, because it may be a common word.
	strangers bool
	words     *regexp.Regexp // finds any of them; nil: not made yet
}

func newScrub() *scrub {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return (&scrub{key: key}).again()
}

// again has the same key, and has learned nothing yet.
func (s *scrub) again() *scrub {
	return &scrub{key: s.key, emails: map[string]string{}, names: map[string]string{}, ids: map[string]bool{}}
}

// forOthers is the scrub for rows of others, without the e-mails and names that others have.
func (s *scrub) forOthers(shared map[string]bool) *scrub {
	o := s.again()
	o.ids, o.strangers = s.ids, true
	for email, pseudonym := range s.emails {
		if !shared[email] {
			o.emails[email] = pseudonym
		}
	}
	for name, pseudonym := range s.names {
		if !shared[name] {
			o.names[name] = pseudonym
		}
	}
	return o
}

// keep excepts ids.
func (s *scrub) keep(ids ...string) {
	for _, id := range ids {
		s.ids[id] = true
	}
}

func (s *scrub) pseudonym(value string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(value))
	return pseudonymPrefix + hex.EncodeToString(mac.Sum(nil)[:6])
}

// address is the pseudonym of an e-mail. "" and a pseudonym stay.
func (s *scrub) address(email string) string {
	key := reconcile.EmailKey(email)
	if key == "" || strings.HasPrefix(key, pseudonymPrefix) || s.strangers {
		return email
	}
	return s.pseudonym(key)
}

// learn adds the names and the e-mails of one value.
func (s *scrub) learn(treatment, value string, naming bool) error {
	switch treatment {
	case "email", "address":
		s.addEmail(value)
	case "name":
		s.addName(value)
	case "title":
		if naming {
			s.addName(value)
		}
	case "addresses":
		all, err := decodeTexts(value)
		for _, email := range all {
			s.addEmail(email)
		}
		return err
	case "holds":
		holds, err := decodeHolds("", []byte(value))
		for i := range holds {
			s.addEmail(holds[i].Email)
		}
		return err
	case "action":
		if value == "" {
			return nil
		}
		a, err := readAction("", []byte(value))
		s.addEmail(a.Email)
		return err
	}
	return nil
}

func (s *scrub) addEmail(email string) {
	key := reconcile.EmailKey(email)
	if key == "" || strings.HasPrefix(key, pseudonymPrefix) || s.ids[strings.TrimSpace(email)] {
		return
	}
	s.emails[key] = s.pseudonym(key)
}

// addName adds a name in the forms in which it stands in sentences: as typed, as it was given
// to Enhance, cut, and quoted.
func (s *scrub) addName(name string) {
	forms := []string{strings.TrimSpace(name), reconcile.CleanName(name)}
	for _, form := range forms {
		forms = append(forms, strings.TrimSuffix(reconcile.Truncate(form), "…"))
	}
	for _, form := range forms {
		quoted := strconv.Quote(form)
		forms = append(forms, quoted[1:len(quoted)-1])
	}
	fold := strings.ToLower(forms[1])
	for _, form := range forms {
		switch {
		case form == "" || s.ids[form] || s.ids[fold] || strings.HasPrefix(form, pseudonymPrefix):
		case strings.Contains(form, "@") && reconcile.ValidEmail(form): // an org without another name has the e-mail
			s.addEmail(form)
		default:
			if _, marked := reconcile.MarkerOf(form); !marked {
				s.names[strings.ToLower(form)] = s.pseudonym("name " + fold)
			}
		}
	}
}

// sentences are the treatments of columns that have sentences for people.
var sentences = map[string]bool{"text": true, "holds": true, "action": true, "evidence": true, "texts": true}

// value is the value of a column with this treatment after the erasure.
func (s *scrub) value(treatment, value string) (after string, changed bool, err error) {
	if value == "" {
		return "", false, nil
	}
	after = value
	switch treatment {
	case "email", "name", "gone":
		if !s.strangers {
			after = ""
		}
	case "address":
		after = s.address(value)
	case "title":
		if !s.strangers {
			after = s.text(value)
		}
	case "key":
		after = s.inKey(value)
	case "text":
		after = s.text(value)
	case "texts", "addresses":
		after, err = s.list(value, treatment == "addresses")
	case "holds":
		after, err = s.holds(value)
	case "action":
		after, err = s.action(value)
	case "evidence":
		after, err = s.evidence(value)
	}
	return after, after != value, err
}

func decodeTexts(value string) (all []string, err error) {
	if value != "" {
		err = json.Unmarshal([]byte(value), &all)
	}
	return all, err
}

func (s *scrub) list(value string, addresses bool) (string, error) {
	all, err := decodeTexts(value)
	if err != nil {
		return value, err
	}
	before := slices.Clone(all)
	for i := range all {
		if addresses {
			all[i] = s.address(all[i])
		} else {
			all[i] = s.text(all[i])
		}
	}
	if slices.Equal(before, all) {
		return value, nil
	}
	return list(all), nil
}

func (s *scrub) holds(value string) (string, error) {
	holds, err := decodeHolds("", []byte(value))
	if err != nil {
		return value, err
	}
	before := slices.Clone(holds)
	for i := range holds {
		h := &holds[i]
		h.Email, h.ActionID, h.Reason = s.address(h.Email), s.inKey(h.ActionID), s.text(h.Reason)
	}
	if slices.Equal(before, holds) {
		return value, nil
	}
	text, _ := encodeHolds(holds).(string) // a text, because there is at least one
	return text, nil
}

func (s *scrub) action(value string) (string, error) {
	before, err := readAction("", []byte(value))
	if err != nil {
		return value, err
	}
	a := before
	a.Email, a.ID, a.Reason = s.address(a.Email), s.inKey(a.ID), s.text(a.Reason)
	if !s.strangers {
		a.Name = s.text(a.Name)
	}
	if storeAction(a) == storeAction(before) {
		return value, nil
	}
	return document(storeAction(a)), nil
}

func (s *scrub) evidence(value string) (string, error) {
	var e reconcile.Evidence
	if err := json.Unmarshal([]byte(value), &e); err != nil {
		return value, err
	}
	name := s.text(e.Hosting.Name)
	if name == e.Hosting.Name {
		return value, nil
	}
	e.Hosting.Name = name
	return document(e), nil
}

// inKey replaces the e-mails in an id.
func (s *scrub) inKey(key string) string {
	if s.strangers {
		return key
	}
	return s.replace(key, false)
}

// text replaces the names and the e-mails in a sentence.
func (s *scrub) text(text string) string { return s.replace(text, true) }

func (s *scrub) replace(text string, names bool) string {
	if s.words == nil {
		s.words = s.compile()
	}
	var b strings.Builder
	end := 0
	for _, at := range s.words.FindAllStringIndex(text, -1) {
		found := text[at[0]:at[1]]
		pseudonym, isEmail := s.emails[reconcile.EmailKey(found)]
		if !isEmail {
			if pseudonym = s.names[strings.ToLower(found)]; pseudonym == "" || !names {
				continue
			}
		}
		if !alone(text, at[0], at[1], isEmail) || s.strangers && !isEmail && !strings.Contains(found, " ") && !inQuotes(text, at[0], at[1]) {
			continue
		}
		b.WriteString(text[end:at[0]])
		b.WriteString(pseudonym)
		end = at[1]
	}
	return b.String() + text[end:]
}

// compile makes an expression that finds any of the names and e-mails, the longest first.
func (s *scrub) compile() *regexp.Regexp {
	all := append(sorted(s.emails), sorted(s.names)...)
	if len(all) == 0 {
		return regexp.MustCompile(`[^\s\S]`) // matches nothing
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	for i := range all {
		all[i] = regexp.QuoteMeta(all[i])
	}
	return regexp.MustCompile("(?i)(?:" + strings.Join(all, "|") + ")")
}

// alone reports whether a part of a text is not the middle of a longer word or address.
func alone(text string, from, to int, email bool) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, width := utf8.DecodeRuneInString(text[to:])
	if letter(before) || letter(after) {
		return false
	}
	if !email {
		return true
	}
	next, _ := utf8.DecodeRuneInString(text[to+width:])
	return !strings.ContainsRune("._+-", before) && after != '-' && !(after == '.' && letter(next))
}

func letter(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

func inQuotes(text string, from, to int) bool {
	return strings.HasSuffix(text[:from], `"`) && strings.HasPrefix(text[to:], `"`)
}

// patterns are for LIKE: a row without any of them has nothing to replace.
func (s *scrub) patterns() (all []string) {
	escape := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace
	for _, word := range append(sorted(s.emails), sorted(s.names)...) {
		inJSON := document(word)
		for _, form := range []string{word, inJSON[1 : len(inJSON)-1]} {
			if pattern := "%" + escape(form) + "%"; !slices.Contains(all, pattern) {
				all = append(all, pattern)
			}
		}
	}
	return all
}
