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

// least is how much room text beside the names has at least, however narrow a terminal.
const least = 24

// said is text beside a name.
type said struct{ mark, who, text string }

// beside writes names with text beside them, in lines that fit.
func (p *printer) beside(indent string, all []said, paint func(Style, string) string) {
	width := 0
	for _, one := range all {
		if n := utf8.RuneCountInString(Plain(one.who)); n <= p.widest() {
			width = max(width, n)
		}
	}
	for _, one := range all {
		who, head := Plain(one.who), indent
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

// room is how many columns there are beside a margin; 0: as many as are wanted.
func (p *printer) room(margin int) int {
	if p.Width == 0 {
		return 0
	}
	return max(p.Width-margin, least)
}

// wrapped breaks text at spaces. A word that is longer than a line stays whole, being an
// id or an address to be copied, and so does a command between backquotes that fits.
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

// words are what a line may be broken between.
func words(text string, width int) (all []string) {
	fields := strings.Fields(text)
	for i := 0; i < len(fields); i++ {
		word := fields[i]
		if strings.Count(word, "`")%2 == 1 { // a command begins: up to where it ends
			for j := i + 1; j < len(fields); j++ {
				if strings.Count(fields[j], "`")%2 == 1 {
					if whole := strings.Join(fields[i:j+1], " "); utf8.RuneCountInString(whole) <= width {
						word, i = whole, j
					}
					break
				}
			}
		}
		all = append(all, word)
	}
	return all
}
