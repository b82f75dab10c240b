package page

import (
	"cmp"
	"strconv"
)

// settings lists the settings that apply, with their meanings.
func (v *visit) settings() (any, error) {
	columns := []column{{Key: "settings.name", Kind: "wide"}, {Key: "settings.value", Kind: "wide"}, {Key: "settings.from", Kind: "state"}, {Key: "settings.meaning"}}
	all := v.server.Tools().Settings()
	if v.query().CSV {
		var lines [][]string
		for _, s := range all {
			lines = append(lines, []string{s.Name, s.Group, s.Value, s.Default, strconv.FormatBool(s.Set), s.Usage})
		}
		return v.file([]string{"name", "group", "value", "default", "set", "meaning"}, lines), nil
	}
	var rows []row
	for _, s := range all {
		from := cell{Text: v.T("settings.default"), Mark: "quiet"}
		switch {
		case s.Set:
			from = cell{Text: v.T("settings.set"), Mark: "good"}
		case s.Value == "":
			from = cell{Text: v.T("settings.unset"), Mark: "quiet"}
		}
		value := cell{Text: cmp.Or(s.Value, "–")}
		if s.Set && s.Default != "" && s.Default != s.Value {
			value.Note = v.T("settings.else", s.Default)
		}
		rows = append(rows, row{{Text: s.Name, Note: s.Group}, value, from, {Text: s.Usage}})
	}
	return v.paged("settings.none", columns, rows), nil
}
