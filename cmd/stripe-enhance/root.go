package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

const rootLong = `stripe-enhance keeps hosting at Enhance in step with what customers pay for at
Stripe. It reads both sides, shows each change with its reason, and makes exactly
those changes. If it cannot be sure of one, it holds it and tells you.

Start without any keys:      stripe-enhance demo
See the changes:             stripe-enhance plan
Make them, from cron:        stripe-enhance reconcile

Settings come from the environment, from a file .env, or from flags of the same
names: GRACE_PERIOD is --grace-period. "stripe-enhance help configuration" lists
them all.`

const rootExample = `  stripe-enhance demo
  stripe-enhance check
  stripe-enhance plan -o json
  MODE=observe stripe-enhance reconcile --full`

// Groups of commands in the help.
const (
	groupRun   = "run"
	groupLook  = "look"
	groupTry   = "try"
	groupSetUp = "setup"
)

func (p *program) root() *cobra.Command {
	cobra.EnableCommandSorting = false // keep the order of commands()
	root := &cobra.Command{
		Use:               "stripe-enhance",
		Short:             "Keeps hosting at Enhance in step with what customers pay for at Stripe",
		Long:              rootLong,
		Example:           rootExample,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noArguments,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: p.prepare,
	}
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringP("output", "o", string(formatText), "text or json; lists also csv")
	settingFlags(root.PersistentFlags())
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Do the work:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupSetUp, Title: "Set up:"},
		&cobra.Group{ID: groupTry, Title: "Try:"},
	)
	root.Version = versionOf().line()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(p.commands()...)
	root.SetHelpCommandGroupID(groupSetUp)
	root.SetCompletionCommandGroupID(groupSetUp)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	strictly(root)
	p.strictHelp(root)
	return root
}

// strictHelp makes help fail for a command that does not exist. Cobra prints another page and
// exits with 0, so that a misspelt command in a script would do nothing, unnoticed.
func (p *program) strictHelp(root *cobra.Command) {
	page := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if words := c.Flags().Args(); c.HasSubCommands() && len(words) > 0 {
			p.unhelpful = noArguments(c, words)
			return
		}
		page(c, args)
	})
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			continue
		}
		c.Args, c.Run = cobra.ArbitraryArgs, nil
		c.RunE = func(_ *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = noArguments(about, rest)
			}
			if err != nil {
				return err
			}
			return about.Help()
		}
	}
}

// prepare runs before each command.
func (p *program) prepare(c *cobra.Command, _ []string) error {
	word, err := c.Flags().GetString("output")
	if err != nil {
		return err
	}
	p.command = c.CommandPath()
	if err := p.chooseFormat(c, word); err != nil {
		return err
	}
	p.flags = map[string]string{}
	for _, v := range config.Variables() {
		if f := c.Flags().Lookup(v.Flag()); f != nil && f.Changed {
			p.flags[v.Name] = f.Value.String()
		}
		if f := c.Flags().Lookup(v.FileFlag()); f != nil && f.Changed {
			p.flags[v.File()] = f.Value.String()
		}
	}
	return p.simulateClock(c.Context())
}

// simulateClock takes the clock of the simulators where SIMULATED_CLOCK is set.
func (p *program) simulateClock(ctx context.Context) error {
	switch strings.TrimPrefix(p.command, "stripe-enhance ") {
	case "demo", "simulate", "version", "man", "__complete", "__completeNoDesc", "stripe-enhance": // they read no settings, or their own
		return nil
	}
	clock, err := app.SimulatedClock(ctx, p.sources())
	if clock != nil {
		p.now = clock
	}
	return err
}

// settingFlags makes a flag of every variable. They are hidden in the help of each command,
// because forty lines would repeat in each; the topic "configuration" shows them once.
func settingFlags(flags *pflag.FlagSet) {
	for _, v := range config.Variables() {
		flags.String(v.Flag(), "", v.Usage)
		f := flags.Lookup(v.Flag())
		f.Hidden = true
		if v.Bool {
			f.NoOptDefVal = "true"
		}
		if v.Secret {
			flags.String(v.FileFlag(), "", v.FileUsage())
			flags.Lookup(v.FileFlag()).Hidden = true
		}
	}
}

// strictly makes every command refuse unknown arguments with exit code 2. Cobra's own checks
// return plain errors, and accept any argument after a command that has subcommands.
func strictly(c *cobra.Command) {
	if c.HasSubCommands() && c.RunE == nil && c.Run == nil {
		c.Args = noArguments
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if c.Args == nil {
		c.Args = noArguments
	}
	c.SuggestionsMinimumDistance = 2 // letters that may differ
	for _, sub := range c.Commands() {
		strictly(sub)
	}
}

// noArguments names the argument that is too much, and a command with a similar name.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what := fmt.Sprintf("%q is too much", args[0])
	if c.HasSubCommands() {
		what = fmt.Sprintf("unknown command %q", args[0])
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			what += "; did you mean " + strings.Join(like, " or ") + "?"
		}
	}
	return &usageError{errors.New(what), c.CommandPath()}
}

// arguments names the arguments that are expected, in order.
func arguments(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return &usageError{fmt.Errorf("%s is missing", names[len(args)]), c.CommandPath()}
		case len(args) > len(names):
			return &usageError{fmt.Errorf("%q is too much", args[len(names)]), c.CommandPath()}
		}
		return nil
	}
}

// flagError does not repeat cobra's text if that quotes a value, because it may be the value
// of --stripe-secret-key.
func flagError(c *cobra.Command, err error) error {
	var missing *pflag.ValueRequiredError
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		what := fmt.Sprintf("unknown flag --%s", unknown.GetSpecifiedName())
		if len(unknown.GetSpecifiedShortnames()) > 0 {
			what = fmt.Sprintf("unknown flag -%s", unknown.GetSpecifiedName())
		}
		if like := similarFlag(c, unknown.GetSpecifiedName()); like != "" {
			what += "; did you mean --" + like + "?"
		}
		return &usageError{errors.New(what), c.CommandPath()}
	case errors.As(err, &missing):
		return &usageError{fmt.Errorf("--%s needs a value", missing.GetSpecifiedName()), c.CommandPath()}
	case errors.As(err, &invalid): // a setting may be a secret, but those are texts, which are always valid
		return &usageError{fmt.Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), wanted(invalid.GetFlag().Value.Type())), c.CommandPath()}
	}
	return &usageError{err, c.CommandPath()}
}

// wanted describes the type of a flag.
func wanted(kind string) string {
	switch kind {
	case "duration":
		return "a duration like 1s, 5m or 72h"
	case "int", "int64":
		return "a whole number"
	case "uint64":
		return "a whole number, not below 0"
	case "bool":
		return "true or false"
	case "float64":
		return "a number"
	}
	return "another value (" + kind + ")"
}

// similarFlag finds a flag that differs by a letter or two.
func similarFlag(c *cobra.Command, name string) (like string) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if like == "" && config.Typo(name, f.Name) {
			like = f.Name
		}
	})
	return like
}
