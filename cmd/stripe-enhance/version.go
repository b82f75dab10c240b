package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/store"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit, and the database schema that it needs",
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
	// Date is that of the commit, RFC 3339; "" if the build does not know it.
	Date string `json:"date"`
	// Modified: the build has changes that are in no commit.
	Modified bool   `json:"modified"`
	Schema   int64  `json:"schema"` // of the database that this program needs
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (v versionDocument) line() string {
	const short = 12 // letters of a commit
	var commit string
	if v.Revision != "" {
		commit = "commit " + v.Revision[:min(short, len(v.Revision))]
		if v.Modified {
			commit += " with changes"
		}
		if v.Date != "" {
			commit += " of " + v.Date
		}
		commit += ", "
	}
	return fmt.Sprintf("stripe-enhance %s (%s%s, %s/%s, database schema %d)", v.Version, commit, v.Go, v.OS, v.Arch, v.Schema)
}

// versionOf prefers the version that the build was given, then the one that Go recorded.
func versionOf() versionDocument {
	v := versionDocument{Version: build, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Schema: store.Schema()}
	recorded, ok := debug.ReadBuildInfo()
	if !ok {
		return v.orDevel()
	}
	for _, s := range recorded.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
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
