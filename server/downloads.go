package main

import (
	"errors"
	"path/filepath"
	"strings"
)

// checkDownloads keeps the server from handing its own keys to anybody: the folder
// of downloads neither is nor holds the data folder, and is none of its others.
func (c Config) checkDownloads() error {
	data, downloads := realPath(c.Data), realPath(c.Downloads)
	if within(downloads, data) {
		return errors.New("downloads holds the data folder, which is full of secrets: name another folder")
	}
	if within(data, downloads) && !within(filepath.Join(data, "downloads"), downloads) {
		return errors.New("downloads lies in the data folder, where only the folder downloads is not secret: name another folder")
	}
	return nil
}

// within reports whether a path is folder or lies in it.
func within(folder, path string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// realPath follows links as far as the path exists.
func realPath(path string) string {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := ""
	for folder := absolute; ; folder = filepath.Dir(folder) {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			return filepath.Join(real, rest)
		}
		if folder == filepath.Dir(folder) {
			return absolute
		}
		rest = filepath.Join(filepath.Base(folder), rest)
	}
}
