package config

import (
	"reflect"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// Variable describes one variable of the environment, from the tags of [Config].
type Variable struct {
	Name    string // DATABASE_URL
	Default string // as it would be written; "": there is none
	Usage   string // its meaning
	Example string // a value; if a real one would be a secret, words for one
	Group   string // database, stripe, enhance, policy, brake, mail, pace, service
	Secret  bool   // its value is never shown
	Bool    bool   // its flag may stand alone

	field    string // of Config
	squeezed string // see squeeze
}

// Flag is the name of its flag: kebab-case, without dashes in front.
func (v Variable) Flag() string {
	return strings.ReplaceAll(strings.ToLower(v.Name), "_", "-")
}

// File is the name of the setting with the path of a file that has the value of a secret.
func (v Variable) File() string { return v.Name + fileSuffix }

// FileFlag is the flag of File.
func (v Variable) FileFlag() string { return v.Flag() + "-file" }

const fileSuffix = "_FILE"

// FileUsage is the meaning of File.
func (v Variable) FileUsage() string {
	return "path of a file with the value of " + v.Name + ", which is read again when it changes"
}

// FileExample is a possible value of File.
func (v Variable) FileExample() string { return "/run/secrets/" + strings.ToLower(v.Name) }

// ofFile finds the secret whose value is in the file that a setting names.
func ofFile(name string) (Variable, bool) {
	base, ok := strings.CutSuffix(name, fileSuffix)
	v, is := known(base)
	return v, ok && is && v.Secret
}

// port is the one variable that has no field of its own; hosting platforms set it.
const port = "PORT"

var variables = describe(reflect.TypeFor[Config]())

// Variables lists all of them, in the order of Config's fields.
func Variables() []Variable { return append([]Variable(nil), variables...) }

func describe(t reflect.Type) []Variable {
	var all []Variable
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		if name == "" || name == "-" {
			continue
		}
		all = append(all, Variable{
			Name:    name,
			Default: f.Tag.Get("envDefault"),
			Usage:   f.Tag.Get("usage"),
			Example: f.Tag.Get("example"),
			Group:   f.Tag.Get("group"),
			Secret:  f.Type == reflect.TypeFor[secret.Text]() || f.Type == reflect.TypeFor[Secrets](),
			Bool:    f.Type.Kind() == reflect.Bool,
			field:   f.Name, squeezed: squeeze(name),
		})
	}
	return all
}

// Effective is a variable with the value that applies.
type Effective struct {
	Variable
	Value string // as it would be written; "": it is not set; of a secret only a word for it
	Set   bool   // by the operator
}

// Effective lists all variables with the values that apply. No value of a secret is in it; the
// other addresses have no password, because check refuses them.
func (c *Config) Effective() []Effective {
	all := make([]Effective, 0, len(variables))
	for _, v := range variables {
		value, set := c.given[v.Name]
		if !set {
			value = v.Default
		}
		all = append(all, Effective{v, value, set})
	}
	return all
}

// shown are values as they may be shown.
func shown(values map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range values {
		if v, ok := known(name); ok && v.Secret {
			value = secret.New(value).String()
		}
		out[name] = value
	}
	return out
}

// known finds a variable by its name.
func known(name string) (Variable, bool) {
	for _, v := range variables {
		if v.Name == name {
			return v, true
		}
	}
	return Variable{}, false
}

// byField finds a variable by the name of its field.
func byField(field string) (Variable, bool) {
	for _, v := range variables {
		if v.field == field {
			return v, true
		}
	}
	return Variable{}, false
}
