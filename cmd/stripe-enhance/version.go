package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		GroupID: groupSetUp,
		Example: "  stripe-enhance version -o json",
		RunE: func(*cobra.Command, []string) error {
			v := versionOf()
			if p.format == formatJSON {
				return report.WriteJSON(p.out, v)
			}
			return p.printf("%s\n", v.line())
		},
	}
}

type versionDocument struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (v versionDocument) line() string {
	return fmt.Sprintf("stripe-enhance %s (%s, %s/%s)", v.Version, v.Go, v.OS, v.Arch)
}

// versionOf prefers the version that the build was given, then the one that Go recorded.
func versionOf() versionDocument {
	v := versionDocument{Version: build, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	recorded, ok := debug.ReadBuildInfo()
	if !ok {
		return v.orDevel()
	}
	for _, s := range recorded.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	if v.Version == "" {
		v.Version = recorded.Main.Version
	}
	return v.orDevel()
}

func (v versionDocument) orDevel() versionDocument {
	if v.Version == "" {
		v.Version = "(devel)"
	}
	return v
}
