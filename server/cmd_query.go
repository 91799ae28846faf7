package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/server/distributed"
)

// Exit statuses of query beside the shared ones.
const (
	exitIncomplete  = 3
	exitInterrupted = 130 // as a shell reports SIGINT
)

// query is a live query from the terminal.
type query struct {
	sql, description string
	hosts, tags      words
	all              bool
	format           string
	timeout, expires time.Duration
	follow           int64
	id               int64 // of the query, once the server has it
}

func queryCommand() command {
	return command{
		name:    cmdQuery,
		summary: "ask hosts a question and print the answers as they arrive",
		usage: []string{`muster query "SELECT ..." [--host HOSTS] [--tag TAGS] [FLAGS]`, "muster query - [FLAGS] <FILE",
			"muster query --follow ID [FLAGS]"},
		about: "Sends a live query to the named hosts, to those with one of the tags, or to all. Rows go to the\n" +
			"standard output, the progress and errors of hosts to the standard error. Ctrl-C leaves; the query goes\n" +
			"on at the server until it expires, and --follow prints all of its answers again.",
		exits: []string{"0 every host answered", "1 refused or failed", "2 wrong flags or settings",
			"3 some hosts failed or did not answer", "130 left by Ctrl-C"},
		define: func(own *flag.FlagSet) runner {
			var q query
			own.Var(&q.hosts, "host", "ask these `hosts`, by name or identifier, with commas or the flag repeated")
			own.Var(&q.tags, "tag", "ask the hosts that have one of these `tags`")
			own.BoolVar(&q.all, "all", false, "ask every host (so it is without --host and --tag)")
			own.StringVar(&q.description, "description", "", "a `text` to find the query by")
			own.StringVar(&q.format, "format", "table", "the `format` of rows: table, csv or jsonl")
			own.DurationVar(&q.timeout, "timeout", 0, "leave after this `duration` though hosts have not answered")
			own.DurationVar(&q.expires, "expires", 0, "for what `duration` the query waits for hosts that are offline (the server's default is 1h)")
			own.Int64Var(&q.follow, "follow", 0, "print the answers of the query with this `id` in place of asking a new one")
			return func(ctx context.Context, t terminal, cfg Config, args []string) int {
				if err := q.check(t, args); err != nil {
					return usageError(t, cmdQuery, err)
				}
				return q.run(ctx, t, cfg)
			}
		},
	}
}

// check reads the arguments and refuses what does not go together.
func (q *query) check(t terminal, args []string) error {
	switch {
	case q.follow < 0, q.timeout < 0, q.expires < 0:
		return errors.New("a negative number makes no sense here")
	case !slices.Contains(formats, q.format):
		return fmt.Errorf("--format: %q is not table, csv or jsonl", q.format)
	case q.follow > 0 && (len(args) > 0 || len(q.hosts)+len(q.tags) > 0 || q.all):
		return errors.New("--follow prints a query that was asked before: leave out the SQL and its targets")
	case q.follow == 0 && len(args) != 1:
		return errors.New("give the SQL as one argument, in quotes")
	case q.all && len(q.hosts)+len(q.tags) > 0:
		return errors.New("--all asks every host: leave out --host and --tag, or --all")
	}
	if q.follow > 0 {
		return nil
	}
	q.sql = args[0]
	if q.sql == "-" {
		text, err := io.ReadAll(io.LimitReader(t.in, 1<<20))
		if err != nil {
			return err
		}
		q.sql = string(text)
	}
	if q.sql = strings.TrimSpace(q.sql); q.sql == "" {
		return errors.New("the SQL is empty")
	}
	return nil
}

func (q *query) run(ctx context.Context, t terminal, cfg Config) int {
	c, err := newClient(cfg)
	if err != nil {
		return failed(t, cmdQuery, err)
	}
	signOut, err := c.signIn(ctx, t, cfg, q.tokenLifetime())
	if err != nil {
		return q.stopped(ctx, t, err)
	}
	defer signOut()
	if q.follow > 0 {
		err = q.find(ctx, c)
	} else {
		err = q.launch(ctx, c)
	}
	if err != nil {
		return q.stopped(ctx, t, err)
	}
	watching, cancel := ctx, context.CancelFunc(func() {})
	if q.timeout > 0 {
		watching, cancel = context.WithTimeout(ctx, q.timeout)
	}
	defer cancel()
	w := newWatcher(t, newFormatter(q.format, q.sql, t), q.id)
	err = w.watch(watching, c)
	return w.end(ctx, watching, err)
}

// tokenLifetime covers the query and some time to connect. How long a query that
// was asked before still runs is known only once there is a token.
func (q *query) tokenLifetime() time.Duration {
	switch {
	case q.timeout > 0:
		return q.timeout + 5*time.Minute
	case q.follow > 0:
		return distributed.MaxExpiry + 5*time.Minute
	case q.expires > 0:
		return q.expires + 5*time.Minute
	}
	return 65 * time.Minute
}

// find asks the server about a query that was asked before.
func (q *query) find(ctx context.Context, c *client) error {
	var answer struct {
		Data struct {
			ID  int64  `json:"id"`
			SQL string `json:"query"`
		} `json:"data"`
	}
	err := c.call(ctx, "GET /live/"+strconv.FormatInt(q.follow, 10), struct{}{}, &answer)
	q.id, q.sql = q.follow, answer.Data.SQL
	return err
}

// launch asks the server to ask the hosts.
func (q *query) launch(ctx context.Context, c *client) error {
	request := map[string]any{"query": q.sql}
	if len(q.hosts) > 0 {
		identifiers, err := c.identifiers(ctx, q.hosts)
		if err != nil {
			return err
		}
		request["nodes"] = identifiers
	}
	if len(q.tags) > 0 {
		request["tags"] = []string(q.tags)
	}
	if q.description != "" {
		request["description"] = q.description
	}
	if q.expires > 0 {
		request["expires"] = int64(q.expires / time.Second)
	}
	var answer struct {
		Data struct {
			QueryID int64 `json:"query_id"`
		} `json:"data"`
	}
	err := c.call(ctx, "POST /distributed/add", request, &answer)
	if err == nil && answer.Data.QueryID == 0 {
		err = errors.New("the server gave the query no id")
	}
	q.id = answer.Data.QueryID
	return err
}

// stopped is the end before there was anything to watch.
func (q *query) stopped(ctx context.Context, t terminal, err error) int {
	if ctx.Err() != nil {
		fmt.Fprintln(t.err)
		return exitInterrupted
	}
	return failed(t, cmdQuery, err)
}
