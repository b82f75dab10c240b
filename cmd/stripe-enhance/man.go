package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const manLong = `Writes a page for each command and for the settings into DIR/man1 and DIR/man5, and
the completions of bash, zsh, fish and PowerShell into DIR/completions. Both come
from the commands themselves, so that they cannot differ from the program.

It is for those who build packages: each package of a release has these files.`

// manCommand is hidden because an installed program has its pages already.
func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages and the completions of shells, for packages",
		Long:    manLong,
		GroupID: groupSetUp,
		Hidden:  true,
		Example: "  stripe-enhance man /tmp/pages && man -l /tmp/pages/man1/stripe-enhance.1",
		Args:    arguments("the directory"),
		RunE: func(c *cobra.Command, args []string) error {
			return errors.Join(writePages(c.Root(), args[0]), writeCompletions(c.Root(), args[0]))
		},
	}
}

// pageName is the name of a command's page, and its section: 5 is for settings.
func pageName(c *cobra.Command) (name, section string) {
	section = "1"
	if !c.Runnable() {
		section = "5"
	}
	return strings.ReplaceAll(c.CommandPath(), " ", "-"), section
}

// writePages writes the page of a command, and those of the commands below it.
func writePages(c *cobra.Command, dir string) error {
	name, section := pageName(c)
	if err := writePublic(filepath.Join(dir, "man"+section), name+"."+section, []byte(page(c))); err != nil {
		return err
	}
	for _, sub := range pagesBelow(c) {
		if err := writePages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// writePublic writes a file that every user of a machine may read.
func writePublic(folder, name string, text []byte) error {
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // manuals are for everyone
		return err
	}
	return os.WriteFile(filepath.Join(folder, name), text, 0o644) //nolint:gosec // the same
}

// pagesBelow are the subcommands with a page of their own. The packages bring the
// completions, and man takes the place of help.
func pagesBelow(c *cobra.Command) (all []*cobra.Command) {
	for _, sub := range c.Commands() {
		if !sub.Hidden && sub.Name() != "help" && sub.Name() != "completion" {
			all = append(all, sub)
		}
	}
	return all
}

func writeCompletions(root *cobra.Command, dir string) error {
	for name, write := range map[string]func(io.Writer) error{
		"stripe-enhance.bash": func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"_stripe-enhance":     root.GenZshCompletion,
		"stripe-enhance.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
		"stripe-enhance.ps1":  root.GenPowerShellCompletionWithDesc,
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := writePublic(filepath.Join(dir, "completions"), name, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// exitStatus is in the page of the program; docs/commands.md has the same sentences.
var exitStatus = []struct {
	code    int
	meaning string
}{
	{exitOK, "converged; for plan: nothing to do"},
	{exitFailed, "the run failed"},
	{exitUsage, "usage or configuration; nothing was contacted"},
	{exitLeft, "finished, but something is held, parked or failed; for plan: changes or holds; for report: rows"},
}

// page is the man page of a command. It has neither date nor version, so that one
// commit makes the same bytes on each day.
func page(c *cobra.Command) string {
	var b strings.Builder
	name, section := pageName(c)
	fmt.Fprintf(&b, ".TH %s %s \"\" stripe-enhance \"stripe-enhance\"\n", strings.ToUpper(name), section)
	b.WriteString(".ad l\n.nh\n") // commands and settings are neither stretched nor broken
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(lowerFirst(c.Short)))
	if section == "1" {
		fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n%s\n", roff(c.CommandPath()), roff(strings.TrimPrefix(c.UseLine(), c.CommandPath()+" ")))
	}
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n")
	roffText(&b, long)
	if subs := pagesBelow(c); len(subs) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range subs {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.Name()), roff(sub.Short))
		}
	}
	roffFlags(&b, "OPTIONS", c.NonInheritedFlags())
	roffFlags(&b, "OPTIONS OF ALL COMMANDS", c.InheritedFlags())
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		roffText(&b, c.Example)
	}
	if !c.HasParent() {
		b.WriteString(".SH EXIT STATUS\n")
		for _, e := range exitStatus {
			fmt.Fprintf(&b, ".TP\n.B %d\n%s\n", e.code, roff(e.meaning))
		}
	}
	b.WriteString(".SH SEE ALSO\n" + strings.Join(related(c), ",\n") + "\n")
	return b.String()
}

// related are the pages above, below and about the settings.
func related(c *cobra.Command) (all []string) {
	settings, _, err := c.Root().Find([]string{"configuration"})
	pages := pagesBelow(c)
	if c.HasParent() {
		pages = append([]*cobra.Command{c.Parent()}, pages...)
		if err == nil && settings != c {
			pages = append(pages, settings)
		}
	}
	for _, of := range pages {
		name, section := pageName(of)
		all = append(all, fmt.Sprintf("\\fB%s\\fP(%s)", roff(name), section))
	}
	return all
}

// roffFlags writes the flags that the help shows too; it hides those that are settings.
func roffFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	heading := ".SH " + title + "\n"
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		b.WriteString(heading)
		heading = ""
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, ".TP\n\\fB%s\\fP \\fI%s\\fP\n%s", roff(name), roff(value), roff(usage))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "[]" {
			fmt.Fprintf(b, " (default %s)", roff(f.DefValue))
		}
		b.WriteByte('\n')
	})
}

// roffText writes text that was made for a terminal: paragraphs are filled, and lines with
// an indent or with columns stay as they are.
func roffText(b *strings.Builder, text string) {
	kept := false
	keep := func(on bool) {
		switch {
		case on && !kept:
			b.WriteString(".PP\n.nf\n")
		case kept && !on:
			b.WriteString(".fi\n")
		}
		kept = on
	}
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		switch {
		case line == "":
			keep(false)
			b.WriteString(".PP\n")
			continue
		case strings.HasPrefix(line, " "), strings.Contains(line, "   "):
			keep(true)
		default:
			keep(false)
		}
		b.WriteString(roff(line) + "\n")
	}
	keep(false)
}

// roff escapes a line: groff would print typographic signs in place of those that a shell
// needs, and read a dot or an apostrophe at the beginning as a command.
func roff(line string) string {
	var b strings.Builder
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		b.WriteString(`\&`)
	}
	for _, c := range line {
		switch {
		case roffSigns[c] != "":
			b.WriteString(roffSigns[c])
		case c > '~':
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

var roffSigns = map[rune]string{'\\': `\(rs`, '-': `\-`, '\'': `\(aq`, '`': `\(ga`, '^': `\(ha`, '~': `\(ti`, '"': `\(dq`}

// lowerFirst is the form of a summary in a man page, unless it begins with a name.
func lowerFirst(text string) string {
	for _, name := range []string{"Stripe", "Enhance"} {
		if strings.HasPrefix(text, name) {
			return text
		}
	}
	return strings.ToLower(text[:1]) + text[1:]
}
