package report

// View is how a report is shown.
type View struct {
	Style
	Width   int  // columns of the terminal; 0: lines may be as long as they are
	All     bool // lists are shown to their end
	Verbose bool // ids, reasons and what is done for the record only are shown as well
}

// Style colours words, or leaves them alone.
type Style struct {
	// Color is set only for a terminal whose user has not said NO_COLOR.
	Color bool
}

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Good is for what was done or is as it should be.
func (s Style) Good(text string) string { return s.paint("32", text) }

// Warn is for what waits for a person or for time.
func (s Style) Warn(text string) string { return s.paint("33", text) }

// Bad is for what failed.
func (s Style) Bad(text string) string { return s.paint("31", text) }

// Bold is for headings.
func (s Style) Bold(text string) string { return s.paint("1", text) }

// Dim is for what may be overlooked.
func (s Style) Dim(text string) string { return s.paint("2", text) }
