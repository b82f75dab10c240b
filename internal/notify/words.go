package notify

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// Language is the language of messages. The zero value is English. Reasons and errors of
// the program stay English in each, because the log and the commands show them so.
type Language string

const (
	English  Language = "en"
	Romanian Language = "ro"
)

//go:embed texts.json
var textFile []byte

// catalogue has all texts by key, each in each language. A text with a number has its forms
// between bars: in English for one and for others, in Romanian for one, for few, and for
// others.
var catalogue = readCatalogue()

func readCatalogue() (all map[string]map[Language]string) {
	if err := json.Unmarshal(textFile, &all); err != nil {
		panic("texts.json: " + err.Error()) // it is embedded
	}
	return all
}

// text is the text of a key.
func (l Language) text(key string, args ...any) string {
	return fmt.Sprintf(l.format(key), args...)
}

// counted is the text of a key in the form that a number demands. The number is its first
// argument.
func (l Language) counted(key string, n int, args ...any) string {
	forms := strings.Split(l.format(key), "|")
	tag, index := language.English, len(forms)-1
	if l == Romanian {
		tag = language.Romanian
	}
	switch plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0) {
	case plural.One:
		index = 0
	case plural.Few:
		index = min(1, index)
	default:
	}
	return fmt.Sprintf(forms[index], append([]any{n}, args...)...)
}

func (l Language) format(key string) string {
	if l == "" {
		l = English
	}
	return catalogue[key][l]
}

// TestMessage is a message that reports nothing. person is the one who sends it.
func TestMessage(l Language, person string) string {
	return prefix + l.text("test.message", person)
}
