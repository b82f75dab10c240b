package report

import (
	"strings"
	"unicode/utf8"
)

// widest is how wide the column of names gets; longer ones stand on a line of their own.
func (p *printer) widest() int {
	if p.Width == 0 {
		return 60
	}
	return p.Width * 3 / 8
}

// least is the least room for text beside the names, even in a narrow terminal.
const least = 24

// entry is text beside a name.
type entry struct{ mark, name, text string }

// beside writes names with text beside them, in lines that fit.
func (p *printer) beside(indent string, all []entry, paint func(Style, string) string) {
	width := 0
	for _, one := range all {
		if n := utf8.RuneCountInString(Plain(one.name)); n <= p.widest() {
			width = max(width, n)
		}
	}
	for _, one := range all {
		who, head := Plain(one.name), indent
		if one.mark != "" {
			head += paint(p.Style, one.mark) + " "
		}
		margin := utf8.RuneCountInString(indent) + 2*min(len(one.mark), 1) + width + 2
		lines := wrapped(Plain(one.text), p.room(margin))
		if utf8.RuneCountInString(who) > width {
			p.linef("%s%s", head, who)
			head, who = strings.Repeat(" ", margin-width-2), ""
		}
		for i, line := range lines {
			if i > 0 {
				head, who = strings.Repeat(" ", margin-width-2), ""
			}
			p.linef("%s", strings.TrimRight(head+who+strings.Repeat(" ", width-utf8.RuneCountInString(who)+2)+line, " "))
		}
	}
}

// sentence writes text in lines that fit, those after the first under its beginning.
func (p *printer) sentence(indent, text string, paint func(string) string) {
	for i, line := range wrapped(Plain(text), p.room(utf8.RuneCountInString(indent))) {
		if i > 0 {
			indent = strings.Repeat(" ", utf8.RuneCountInString(indent))
		}
		p.linef("%s%s", indent, paint(line))
	}
}

// room is how many columns there are beside a margin; 0: without limit.
func (p *printer) room(margin int) int {
	if p.Width == 0 {
		return 0
	}
	return max(p.Width-margin, least)
}

// wrapped breaks text at spaces. A word that is longer than a line stays whole, because it
// is an id or an address to be copied, and so does a command between backquotes if it fits.
func wrapped(text string, width int) []string {
	if width == 0 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line, n := "", 0
	for _, word := range words(text, width) {
		w := utf8.RuneCountInString(word)
		if n > 0 && n+1+w > width {
			lines = append(lines, line)
			line, n = "", 0
		}
		if n > 0 {
			line, n = line+" ", n+1
		}
		line, n = line+word, n+w
	}
	return append(lines, line)
}

// words are the parts of a text between which a line may be broken: its words, and the
// commands between backquotes that fit into a line.
func words(text string, width int) (all []string) {
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i++ {
		word := fields[i]
		if end := commandEnd(fields, i); end > i {
			if whole := strings.Join(fields[i:end+1], " "); utf8.RuneCountInString(whole) <= width {
				word, i = whole, end
			}
		}
		all = append(all, word)
	}
	return all
}

// commandEnd returns the index of the word that ends a command which begins at i; i if
// none begins there, or if it has no end.
func commandEnd(fields []string, i int) int {
	opens := func(word string) bool { return strings.Count(word, "`")%2 == 1 }
	if !opens(fields[i]) {
		return i
	}
	for j := i + 1; j < len(fields); j++ {
		if opens(fields[j]) {
			return j
		}
	}
	return i
}
