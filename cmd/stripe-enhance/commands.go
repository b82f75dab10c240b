package main

import "github.com/spf13/cobra"

// commands lists every command there is, in the order of the help within each
// group.
func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.reconcileCommand(),
		p.planCommand(),
		p.migrateCommand(),
		p.checkCommand(),
		p.demoCommand(),
		p.simulateCommand(),
		p.versionCommand(),
		p.configurationTopic(),
	}
}
