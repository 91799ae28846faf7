package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// foundHost is a host as the API tells of it.
type foundHost struct {
	Name       string `json:"display_name"`
	Identifier string `json:"host_identifier"`
}

// hostsPage is how many hosts one search brings: more than most fleets have, since
// hosts that come and go in between move from one page to another.
const hostsPage = 10_000

// identifiers finds the hosts that people name as they see them: by name or
// identifier. A name of several hosts is an error that tells them apart; one that
// the server does not know is left for the server to refuse.
func (c *client) identifiers(ctx context.Context, names []string) ([]string, error) {
	var found []string
	for _, name := range names {
		identifier, err := c.identifier(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, identifier)
	}
	return found, nil
}

func (c *client) identifier(ctx context.Context, name string) (string, error) {
	if is, err := c.isIdentifier(ctx, name); is || err != nil {
		return name, err
	}
	called, err := c.called(ctx, name)
	switch {
	case err != nil:
		return "", err
	case len(called) == 0:
		return name, nil
	case len(called) > 1:
		return "", fmt.Errorf("%d hosts are called %s: name one by its identifier, %s", len(called), name, strings.Join(called, " or "))
	}
	return called[0], nil
}

// isIdentifier asks for one host. What the server refuses is no identifier; if it
// refuses everything, the search says so.
func (c *client) isIdentifier(ctx context.Context, name string) (bool, error) {
	if name == "." || name == ".." { // would be steps in the path
		return false, nil
	}
	var answer struct {
		Data foundHost `json:"data"`
	}
	err := c.call(ctx, "GET /hosts/"+url.PathEscape(name), struct{}{}, &answer)
	if no := (refusal{}); errors.As(err, &no) {
		return false, nil
	}
	// Digits may have found a host by its number.
	return err == nil && answer.Data.Identifier == name, err
}

// called returns the identifiers of all hosts with a name, in whatever case. The
// search also finds the name as a part of others, so there may be many pages.
func (c *client) called(ctx context.Context, name string) ([]string, error) {
	var called []string
	for start := 0; ; start += hostsPage {
		var answer struct {
			Data struct {
				Results []foundHost `json:"results"`
			} `json:"data"`
		}
		request := map[string]any{"searchterm": name, "start": start, "limit": hostsPage}
		if err := c.call(ctx, "POST /hosts", request, &answer); err != nil {
			return nil, err
		}
		for _, host := range answer.Data.Results {
			if strings.EqualFold(host.Name, name) && !slices.Contains(called, host.Identifier) {
				called = append(called, host.Identifier)
			}
		}
		if len(answer.Data.Results) < hostsPage {
			return called, nil
		}
	}
}
