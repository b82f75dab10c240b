// Package release tests what is published: that one commit makes the same bytes in every
// folder, that the packages of .goreleaser.yaml install, run, upgrade and leave again, that
// the workflows are pinned, and that the notices have the license of each module.
//
// The packages are made by nfpm, which goreleaser uses too, from the same section of the
// same file. A test without its tool skips with the reason; .ci/deps installs the tools.
package release
