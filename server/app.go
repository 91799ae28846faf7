package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"muster/agentapi"
	"muster/certs"
	"muster/rules"
	"muster/server/accounts"
	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/carves"
	"muster/server/database"
	"muster/server/detect"
	"muster/server/distributed"
	"muster/server/hosts"
	"muster/server/httpkit"
	"muster/server/intel"
	"muster/server/jobs"
	"muster/server/outputs"
	"muster/server/pipeline"
	"muster/server/results"
	"muster/server/schedule"
	"muster/server/seal"
	"muster/yara"
)

// app is the server put together: every store once, the doors over them.
type app struct {
	cfg Config
	log *slog.Logger

	db          *database.DB
	bus         bus.Bus
	certs       *certs.Source
	accounts    *accounts.Store
	hosts       *hosts.Store
	schedule    *schedule.Store
	results     *results.Store
	distributed *distributed.Store
	carves      *carves.Store
	yara        *yara.Store
	mail        *outputs.Mail
	alerters    *outputs.Alerters
	intel       *intel.Store
	alerts      *alerts.Store
	detect      *detect.Store
	jobs        *jobs.Queue
	detection   *pipeline.Detection
	reputation  *pipeline.Reputation
	scans       *pipeline.CarveScans // nil: there is no program to scan with
	pipeline    *pipeline.Pipeline
	door        *agentapi.Door
	metrics     *metrics
	proxies     httpkit.Proxies
	closing     chan struct{} // closed when shutdown begins
	ready       *readiness

	destinations *outputs.Destinations

	listeners []*listener
}

// listener is one address with what it serves.
type listener struct {
	net.Listener
	server *http.Server
}

// serve runs the server until ctx ends, then shuts it down cleanly: it stops
// accepting, finishes what is in flight, and commits what is queued.
func serve(ctx context.Context, cfg Config) error {
	a, err := newApp(ctx, cfg, cfg.Logger(os.Stderr))
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// newApp opens everything and listens, but serves nothing yet.
func newApp(ctx context.Context, cfg Config, log *slog.Logger) (_ *app, err error) {
	a := &app{cfg: cfg, log: log, proxies: cfg.TrustedProxies, closing: make(chan struct{})}
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, err
	}
	if cfg.Downloads != "" {
		if err := os.MkdirAll(cfg.Downloads, 0o755); err != nil { //nolint:gosec // nothing in it is secret
			return nil, err
		}
	}
	if a.certs, err = certs.Open(ctx, log, a.certOptions()); err != nil {
		return nil, err
	}
	if a.db, err = database.Open(ctx, cfg.DatabaseURL); err != nil {
		return nil, err
	}
	a.openBus()
	if err := a.openStores(ctx); err != nil {
		return nil, err
	}
	if err := a.firstRun(ctx); err != nil {
		return nil, err
	}
	a.openDoors()
	if err := a.listen(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *app) openBus() {
	if a.db.Engine() == database.Postgres {
		a.bus = bus.NewReplicated(a.db, a.log)
		return
	}
	a.bus = bus.NewMemory()
}

func (a *app) openStores(ctx context.Context) error {
	spool := filepath.Join(a.cfg.Data, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return err
	}
	box, err := a.openBox()
	if err != nil {
		return err
	}
	a.jobs = jobs.NewQueue(a.db, a.bus, a.log, jobs.QueueOptions{})
	a.mail, a.alerts = outputs.NewMail(a.db, box, outputs.MailOptions{}), alerts.New(a.db)
	a.intel = intel.New(a.db, box, a.bus, a.log, intel.Options{Jobs: a.jobs})
	a.accounts = accounts.New(a.db, accounts.Options{})
	a.hosts = hosts.New(a.db, a.bus, a.log, hosts.Options{})
	a.schedule = schedule.New(a.db, a.bus, a.log, schedule.Options{SignatureURLs: a.signatureURLs()})
	a.results = results.New(a.db, a.bus, a.log, a.resultsOptions())
	a.distributed = distributed.New(a.db, a.hosts, a.bus, a.log, distributed.Options{})
	a.carves = carves.New(a.db, filepath.Join(a.cfg.Data, "carves"), a.log, carves.Options{MaxSize: a.cfg.MaxCarveSize})
	mapping, err := sigmaMapping(a.cfg.SigmaMapping)
	if err != nil {
		return err
	}
	a.detect = detect.New(a.db, a.bus, a.log, detect.Options{Shipped: rules.Files, Mapping: mapping})
	a.yara = yara.New(a.db, a.bus, a.log, a.yaraOptions())
	a.openAlerters(box)
	a.openDetection()
	a.destinations = outputs.NewDestinations(outputs.DestinationDeps{
		DB: a.db, Box: box, Hosts: a.hosts, Results: a.results, Alerts: a.alerts, Bus: a.bus, Log: a.log,
	}, outputs.DestinationOptions{Folder: filepath.Join(a.cfg.Data, "destinations"), Paths: a.cfg.DestinationPaths})
	a.pipeline = &pipeline.Pipeline{Hosts: a.hosts, Results: a.results, Distributed: a.distributed, Carves: a.carves, Detection: a.detection, Log: a.log}
	if err := a.results.EnsurePartitions(ctx); err != nil {
		a.log.Warn("partitions could not be made, rows go to the default one until they can", "error", err)
	}
	return errors.Join(a.hosts.Load(ctx), a.schedule.Load(ctx), a.distributed.Load(ctx), a.yara.Load(ctx), a.detect.Load(ctx), a.intel.Load(ctx))
}

// openAlerters makes what tells people of alerts.
func (a *app) openAlerters(box *seal.Box) {
	a.alerters = outputs.NewAlerters(outputs.AlerterDeps{
		DB: a.db, Box: box, Mail: a.mail, Queue: a.jobs, Hosts: a.hosts, Alerts: a.alerts, Rules: a.detect, Log: a.log, ConsoleURL: a.cfg.ConsoleURL,
	})
	a.jobs.Handle(a.alerters.Worker())
}

func (a *app) openDoors() {
	a.ready = &readiness{db: a.db}
	a.metrics = newMetrics(a)
	a.door = agentapi.New(agentapi.Deps{
		Hosts: a.hosts, Schedule: a.schedule, Carves: a.carves, Pipeline: a.pipeline, YARA: a.yara,
		Log: a.log, Address: a.proxies.Address, Observe: a.metrics.agentRequest,
	}, agentapi.Limits{Body: a.cfg.MaxLogBody, SpoolDir: filepath.Join(a.cfg.Data, "spool")})
}

// listen opens the addresses. The certificate is asked for at each handshake.
func (a *app) listen(ctx context.Context) error {
	secure := a.certs.TLSConfig()
	if err := a.open(ctx, a.cfg.Listen, a.mainRoutes(), secure); err != nil {
		return err
	}
	if a.cfg.AgentListen != "" {
		if err := a.open(ctx, a.cfg.AgentListen, a.agentRoutes(), secure); err != nil {
			return err
		}
	}
	if a.cfg.MetricsListen != "" {
		return a.open(ctx, a.cfg.MetricsListen, a.metricsRoutes(), nil)
	}
	return nil
}

func (a *app) open(ctx context.Context, address string, handler http.Handler, secure *tls.Config) error {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	if secure != nil {
		socket = tls.NewListener(socket, secure)
	}
	a.listeners = append(a.listeners, &listener{Listener: socket, server: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // handshakes that fail, mostly
	}})
	return nil
}

// run serves until ctx ends or a listener fails.
func (a *app) run(ctx context.Context) error {
	defer a.release()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { a.background(background) })

	failed := make(chan error, len(a.listeners))
	for _, l := range a.listeners {
		a.log.Info("listening", "address", l.Addr().String())
		go func() { failed <- l.server.Serve(l) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.shutdown()
	stop()
	working.Wait()
	a.log.Info("stopped")
	return err
}

// shutdownTime is how long requests in flight may take: agents give up after 16 seconds.
const shutdownTime = 16 * time.Second

// shutdown lets what is in flight finish. New requests on open connections are
// answered "busy" in words that make agents keep their data.
func (a *app) shutdown() {
	a.log.Info("shutting down")
	a.door.Drain()
	close(a.closing)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	var closing sync.WaitGroup
	for _, l := range a.listeners {
		closing.Go(func() {
			if l.server.Shutdown(ctx) != nil {
				_ = l.server.Close()
			}
		})
	}
	closing.Wait()
}

// release closes what newApp opened, in reverse.
func (a *app) release() {
	for _, l := range a.listeners {
		_ = l.Close()
	}
	if a.db != nil {
		if err := a.db.Close(); err != nil {
			a.log.Warn("the database did not close cleanly", "error", err)
		}
	}
}

// openBox opens what seals the secrets of other services. Replicas need the same
// key, which a file of one data folder is not.
func (a *app) openBox() (*seal.Box, error) {
	if len(a.cfg.EncryptionKey) > 0 {
		return seal.New(a.cfg.EncryptionKey)
	}
	file := filepath.Join(a.cfg.Data, "secrets.key")
	if a.db.Engine() == database.Postgres {
		a.log.Warn("passwords and keys of other services are sealed with a key of this data folder: replicas need a common one in the setting encryption_key", "file", file)
	}
	return seal.Open(file)
}

// yaraOptions lets YARA files be compiled in a process of its own.
func (a *app) yaraOptions() yara.Options {
	if a.cfg.Program == "" {
		return yara.Options{}
	}
	return yara.Options{Check: yara.Apart(a.cfg.Program, cmdYARA, "--verdict")}
}

func (a *app) certOptions() certs.Options {
	return certs.Options{
		Dir: filepath.Join(a.cfg.Data, "certs"), CertFile: a.cfg.TLSCert, KeyFile: a.cfg.TLSKey,
		Names: func(ctx context.Context) (certs.Names, error) { return certs.LocalNames(ctx, a.cfg.Hostnames) },
	}
}
