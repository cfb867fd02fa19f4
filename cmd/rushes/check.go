package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rushes/hls"
	"rushes/pipeline"
	"rushes/transcode/mp4"
)

type checkCmd struct {
	Target       string   `arg:"" name:"path" help:"Folder, zip, playlist or MP4, or the http or https URL of a playlist or MP4."`
	JSON         bool     `name:"json" help:"Print JSON."`
	Severity     string   `enum:"must,should,all" default:"should" help:"Least severity that is printed: must, should or all."`
	AllowOrigins []string `help:"Further origins that a package at a URL may be read from, as https://host:port." placeholder:"ORIGIN"`
}

// Help says what the exit status means.
func (c *checkCmd) Help() string {
	return fmt.Sprintf("Exits with %d when nothing of severity M (a rule is broken) or S (a recommendation is not followed) is found, "+
		"with %d when something is, whatever is printed, and with %d when the input cannot be read.", pipeline.ExitOK, pipeline.ExitOther, pipeline.ExitBadInput)
}

// checkedFinding is a finding as printed.
type checkedFinding struct {
	hls.Finding
	Severity string `json:"severity"`
}

// Run checks the package and prints a line for each finding.
func (c *checkCmd) Run(ctx context.Context, e env) (err error) {
	src, name, release, err := c.source()
	if err != nil {
		return &exitError{pipeline.ExitBadInput, err}
	}
	defer func() { err = errors.Join(err, release()) }()
	found, err := hls.Check(ctx, src, name, hls.CheckOptions{})
	var bad *hls.InputError
	if errors.As(err, &bad) || errors.Is(err, hls.ErrCheckLimit) {
		err = &exitError{pipeline.ExitBadInput, err}
	}
	if err != nil {
		return err
	}
	clean := !slices.ContainsFunc(found, func(f hls.Finding) bool { return f.Severity != mp4.Practice })
	if err := c.print(e, found, clean); err != nil {
		return err
	}
	if !clean {
		return &exitError{code: pipeline.ExitOther}
	}
	return nil
}

// print prints what is severe enough.
func (c *checkCmd) print(e env, found []hls.Finding, isClean bool) error {
	found = slices.DeleteFunc(slices.Clone(found), func(f hls.Finding) bool {
		return c.Severity != "all" && f.Severity == mp4.Practice || c.Severity == "must" && f.Severity != mp4.Must
	})
	if !c.JSON {
		for _, f := range found {
			if _, err := fmt.Fprintln(e.stdout, clean(f.String())); err != nil {
				return fmt.Errorf("printing: %w", err)
			}
		}
		return nil
	}
	out := struct {
		Clean    bool             `json:"clean"`
		Findings []checkedFinding `json:"findings"`
	}{Clean: isClean, Findings: []checkedFinding{}}
	for _, f := range found {
		out.Findings = append(out.Findings, checkedFinding{f, string(rune(f.Severity))})
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// source opens what is to be checked; release is called in the end.
func (c *checkCmd) source() (src hls.CheckSource, name string, release func() error, err error) {
	if strings.Contains(c.Target, "://") {
		web, err := hls.NewCheckWeb(c.Target, hls.WebOptions{Origins: c.AllowOrigins})
		if err != nil {
			return nil, "", nil, fmt.Errorf("checking a URL: %w", err)
		}
		return web, c.Target, func() error { return nil }, nil
	}
	info, err := os.Stat(c.Target)
	if err != nil {
		return nil, "", nil, fmt.Errorf("looking at the package: %w", err)
	}
	if !info.IsDir() && strings.EqualFold(filepath.Ext(c.Target), ".zip") {
		return openZip(c.Target, info.Size())
	}
	dir := c.Target
	if !info.IsDir() {
		dir, name = filepath.Split(c.Target)
	} else if name, err = topPlaylist(dir); err != nil {
		return nil, "", nil, err
	}
	folder, err := hls.NewCheckFolder(filepath.Clean(dir))
	if err != nil {
		return nil, "", nil, fmt.Errorf("opening the package: %w", err)
	}
	return folder, name, folder.Close, nil
}

// topPlaylist finds the playlist of a folder that names the others.
func topPlaylist(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading the package: %w", err)
	}
	var lists []string
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".m3u8") && !e.IsDir() {
			lists = append(lists, e.Name())
		}
	}
	for _, name := range []string{"master.m3u8", "index.m3u8", "main.m3u8"} {
		if slices.Contains(lists, name) {
			return name, nil
		}
	}
	if len(lists) != 1 {
		return "", fmt.Errorf("%d playlists are in the folder and none is called master.m3u8: name one: %w", len(lists), fs.ErrNotExist)
	}
	return lists[0], nil
}

// openZip opens a package in a zip.
func openZip(path string, size int64) (src hls.CheckSource, name string, release func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", nil, fmt.Errorf("opening the package: %w", err)
	}
	z, err := hls.NewCheckZip(f, size)
	if err != nil {
		return nil, "", nil, errors.Join(fmt.Errorf("opening the package: %w", err), f.Close())
	}
	return z, z.Master, f.Close, nil
}
