package main

import "github.com/spf13/cobra"

// commands lists every command there is, in the order of the help within each
// group.
func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.serveCommand(),
		p.reconcileCommand(),
		p.planCommand(),
		p.plansCommand(),
		p.approveCommand(),
		p.rejectCommand(),
		p.checkCommand(),
		p.customersCommand(),
		p.actionsCommand(),
		p.forecastCommand(),
		p.adoptCommand(),
		p.reportCommand(),
		p.mappingsCommand(),
		p.holdsCommand(),
		p.migrateCommand(),
		p.backupCommand(),
		p.healthcheckCommand(),
		p.demoCommand(),
		p.simulateCommand(),
		p.versionCommand(),
		p.manCommand(),
		p.configurationTopic(),
	}
}
