package report

// View has the options for showing a report.
type View struct {
	Style
	Width   int  // columns of the terminal; 0: lines are not broken
	All     bool // lists are shown to their end
	Verbose bool // ids, reasons and actions for the record only are shown as well
}

// Style colours words, or leaves them alone.
type Style struct {
	// Color is set only for a terminal, and only if NO_COLOR is not set.
	Color bool
}

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Good is for actions that are done, and for good news.
func (s Style) Good(text string) string { return s.paint("32", text) }

// Warn is for things that wait for a person or for time.
func (s Style) Warn(text string) string { return s.paint("33", text) }

// Bad is for failures, and for actions that take away.
func (s Style) Bad(text string) string { return s.paint("31", text) }

// Bold is for headings.
func (s Style) Bold(text string) string { return s.paint("1", text) }

// Dim is for details.
func (s Style) Dim(text string) string { return s.paint("2", text) }

// unpainted leaves text as it is.
func unpainted(text string) string { return text }
