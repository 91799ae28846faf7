-- +goose Up

-- jobs: work that must not be lost, done once and tried again. A job that is done
-- is deleted; one that failed too often stays as dead until somebody looks at it.
CREATE TABLE jobs (
    id           integer PRIMARY KEY AUTOINCREMENT,
    kind         text    NOT NULL,
    args         text    NOT NULL DEFAULT '{}',
    unique_key   text    NOT NULL DEFAULT '', -- of its kind: a second one that waits is not added
    state        text    NOT NULL DEFAULT 'waiting', -- waiting, running, dead
    attempts     integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    run_at       integer NOT NULL, -- not before; while it runs: when its lease ends
    holder       text    NOT NULL DEFAULT '',
    last_error   text    NOT NULL DEFAULT '',
    created_at   integer NOT NULL,
    updated_at   integer NOT NULL
) STRICT;
CREATE INDEX jobs_due ON jobs (kind, run_at, id) WHERE state <> 'dead';
CREATE INDEX jobs_dead ON jobs (kind, id) WHERE state = 'dead';
CREATE UNIQUE INDEX jobs_unique ON jobs (kind, unique_key) WHERE unique_key <> '' AND state = 'waiting';

-- detect: conditions is the query builder's JSON of a rule that was made with it;
-- source is the Sigma text of one that came as such. shipped is the name of the file
-- of ours that it came from, with the digest of the text that was installed.
CREATE TABLE rules (
    id             integer PRIMARY KEY AUTOINCREMENT,
    name           text    NOT NULL UNIQUE,
    description    text    NOT NULL DEFAULT '',
    severity       text    NOT NULL,
    status         text    NOT NULL,
    type           text    NOT NULL,
    technique_ids  text    NOT NULL DEFAULT '[]',
    tactics        text    NOT NULL DEFAULT '[]',
    alerters       text    NOT NULL DEFAULT '[]',
    conditions     text    NOT NULL DEFAULT '{}',
    recon_queries  text    NOT NULL DEFAULT '{}',
    sigma_id       text    NOT NULL DEFAULT '',
    source         text    NOT NULL DEFAULT '',
    shipped        text    NOT NULL DEFAULT '',
    shipped_sha256 text    NOT NULL DEFAULT '',
    username       text    NOT NULL DEFAULT '',
    created_at     integer NOT NULL,
    updated_at     integer NOT NULL
) STRICT;
CREATE INDEX rules_sigma ON rules (sigma_id) WHERE sigma_id <> '';

-- detect: what each rule did, added up from all replicas
CREATE TABLE rule_counters (
    rule_id       integer PRIMARY KEY REFERENCES rules (id) ON DELETE CASCADE,
    evaluated     integer NOT NULL DEFAULT 0,
    matched       integer NOT NULL DEFAULT 0,
    suppressed    integer NOT NULL DEFAULT 0,
    failed        integer NOT NULL DEFAULT 0,
    nanoseconds   integer NOT NULL DEFAULT 0,
    last_match_at integer NOT NULL DEFAULT 0
) STRICT;

-- detect: what a rule (0: every rule) does not alert on
CREATE TABLE rule_exceptions (
    id          integer PRIMARY KEY AUTOINCREMENT,
    rule_id     integer NOT NULL,
    conditions  text    NOT NULL,
    reason      text    NOT NULL,
    alert_id    integer NOT NULL DEFAULT 0,
    username    text    NOT NULL DEFAULT '',
    created_at  integer NOT NULL,
    expires_at  integer NOT NULL DEFAULT 0,
    hits        integer NOT NULL DEFAULT 0,
    last_hit_at integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX rule_exceptions_rule ON rule_exceptions (rule_id);

-- intel: indicators. value is in the form in which two are compared; feed says where
-- it came from, and self is what people entered. Changes are counted in the order of
-- their commits: added is the one that brought the indicator, changed the last that
-- touched it. A deleted one stays for a day, so that replicas notice.
CREATE TABLE indicators (
    id          integer PRIMARY KEY AUTOINCREMENT,
    type        text    NOT NULL,
    value       text    NOT NULL,
    threat_name text    NOT NULL,
    severity    text    NOT NULL,
    feed        text    NOT NULL,
    confidence  integer NOT NULL DEFAULT 0,
    description text    NOT NULL DEFAULT '',
    created_at  integer NOT NULL,
    updated_at  integer NOT NULL,
    expires_at  integer NOT NULL DEFAULT 0,
    added       integer NOT NULL,
    changed     integer NOT NULL,
    import      integer NOT NULL DEFAULT 0, -- the last one that held it
    deleted     integer NOT NULL DEFAULT 0,
    UNIQUE (type, value, feed, threat_name)
) STRICT;
CREATE INDEX indicators_feed ON indicators (feed, id);
CREATE INDEX indicators_changed ON indicators (changed);
CREATE INDEX indicators_expiry ON indicators (expires_at) WHERE expires_at > 0;
CREATE INDEX indicators_deleted ON indicators (updated_at) WHERE deleted = 1;

-- intel: what reputation services said
CREATE TABLE verdicts (
    provider   text    NOT NULL,
    type       text    NOT NULL,
    value      text    NOT NULL,
    detected   integer NOT NULL DEFAULT 0,
    severity   text    NOT NULL DEFAULT '',
    report     text    NOT NULL DEFAULT '{}',
    checked_at integer NOT NULL DEFAULT 0, -- 0: still to be asked
    expires_at integer NOT NULL DEFAULT 0,
    try_at     integer NOT NULL, -- not before
    attempts   integer NOT NULL DEFAULT 0,
    created_at integer NOT NULL,
    PRIMARY KEY (provider, type, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdicts_open ON verdicts (provider, try_at) WHERE checked_at = 0;
CREATE INDEX verdicts_expiry ON verdicts (expires_at) WHERE checked_at > 0;
CREATE INDEX verdicts_detected ON verdicts (provider, type, value) WHERE detected = 1;

-- alerts. message is the row that raised it; why, what made the rule match.
-- event_count counts every event, also those beyond what alert_events keeps.
CREATE TABLE alerts (
    id             integer PRIMARY KEY AUTOINCREMENT,
    host_id        integer NOT NULL,
    source         text    NOT NULL, -- rule, ioc, yara, virustotal, ibmxforce, alienvault
    rule_id        integer NOT NULL DEFAULT 0,
    name           text    NOT NULL, -- of the rule or the threat
    group_key      text    NOT NULL, -- alerts of one host with the same key are gathered
    severity       text    NOT NULL,
    query_name     text    NOT NULL DEFAULT '',
    action         text    NOT NULL DEFAULT '',
    message        text    NOT NULL DEFAULT '{}',
    result_id      integer NOT NULL DEFAULT 0,
    unix_time      integer NOT NULL DEFAULT 0,
    why            text    NOT NULL DEFAULT '[]',
    source_data    text    NOT NULL DEFAULT '{}',
    recon_queries  text    NOT NULL DEFAULT '{}',
    technique_ids  text    NOT NULL DEFAULT '[]',
    tactics        text    NOT NULL DEFAULT '[]',
    retro          integer NOT NULL DEFAULT 0,
    status         text    NOT NULL DEFAULT 'open', -- open, in_progress, resolved
    verdict        text    NOT NULL DEFAULT '',     -- true_positive, false_positive
    assignee       text    NOT NULL DEFAULT '',
    event_count    integer NOT NULL DEFAULT 1,
    created_at     integer NOT NULL,
    last_event_at  integer NOT NULL,
    updated_at     integer NOT NULL,
    resolved_at    integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX alerts_group ON alerts (host_id, group_key, created_at);
CREATE INDEX alerts_created ON alerts (created_at);
CREATE INDEX alerts_source ON alerts (source, id);
CREATE INDEX alerts_unresolved ON alerts (source, severity, host_id, rule_id, id) WHERE status <> 'resolved'; -- has all that counts ask for
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at > 0;
CREATE INDEX alerts_rule ON alerts (rule_id, id) WHERE rule_id > 0;

CREATE TABLE alert_techniques (
    technique_id text    NOT NULL,
    alert_id     integer NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    PRIMARY KEY (technique_id, alert_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_techniques_alert ON alert_techniques (alert_id);

-- alerts: every row that was gathered into an alert, the first included
CREATE TABLE alert_events (
    id         integer PRIMARY KEY AUTOINCREMENT,
    alert_id   integer NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    query_name text    NOT NULL,
    action     text    NOT NULL,
    columns    text    NOT NULL,
    why        text    NOT NULL DEFAULT '[]',
    result_id  integer NOT NULL DEFAULT 0,
    unix_time  integer NOT NULL,
    created_at integer NOT NULL
) STRICT;
CREATE INDEX alert_events_alert ON alert_events (alert_id, id);

-- alerts: findings that are raised once, whenever they are found again. A key is
-- claimed before its alert is known, so that there is no foreign key.
CREATE TABLE alert_onces (
    once_key   text    PRIMARY KEY,
    alert_id   integer NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_onces_alert ON alert_onces (alert_id);

-- alerts: who did what to an alert
CREATE TABLE alert_history (
    id         integer PRIMARY KEY AUTOINCREMENT,
    alert_id   integer NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    at         integer NOT NULL,
    username   text    NOT NULL DEFAULT '',
    action     text    NOT NULL, -- status, assignee, comment, told
    was        text    NOT NULL DEFAULT '',
    becomes    text    NOT NULL DEFAULT '',
    comment    text    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX alert_history_alert ON alert_history (alert_id, id);

-- outputs: whom alerts are told. settings is JSON; secrets in it are sealed. Those that
-- are built in are there from the start and stay.
CREATE TABLE alerters (
    id         integer PRIMARY KEY AUTOINCREMENT,
    name       text    NOT NULL UNIQUE,
    kind       text    NOT NULL,
    active     integer NOT NULL DEFAULT 1,
    built_in   integer NOT NULL DEFAULT 0,
    settings   text    NOT NULL DEFAULT '{}',
    created_at integer NOT NULL,
    updated_at integer NOT NULL
) STRICT;
INSERT INTO alerters (name, kind, active, built_in, created_at, updated_at) VALUES
    ('debug', 'debug', 1, 1, 0, 0), ('email', 'email', 1, 1, 0, 0), ('rsyslog', 'rsyslog', 0, 1, 0, 0);

-- outputs: alerts that wait for the next digest of an alerter
CREATE TABLE alerter_digests (
    id         integer PRIMARY KEY AUTOINCREMENT,
    alerter_id integer NOT NULL REFERENCES alerters (id) ON DELETE CASCADE,
    alert_id   integer NOT NULL,
    event_id   integer NOT NULL,
    severity   text    NOT NULL,
    name       text    NOT NULL, -- of the rule or the threat
    host       text    NOT NULL, -- as people call it
    seen_at    integer NOT NULL,
    UNIQUE (alerter_id, alert_id, event_id)
) STRICT;

-- outputs: where logs and alerts are forwarded, and how far each stream got
CREATE TABLE destinations (
    id         integer PRIMARY KEY AUTOINCREMENT,
    name       text    NOT NULL UNIQUE,
    kind       text    NOT NULL,
    format     text    NOT NULL,
    active     integer NOT NULL DEFAULT 1,
    settings   text    NOT NULL DEFAULT '{}', -- secrets in it are sealed
    version    integer NOT NULL DEFAULT 1, -- counts changes: whoever forwards starts anew
    created_at integer NOT NULL,
    updated_at integer NOT NULL
) STRICT;

CREATE TABLE destination_cursors (
    destination_id integer NOT NULL REFERENCES destinations (id) ON DELETE CASCADE,
    stream         text    NOT NULL,
    position       integer NOT NULL DEFAULT 0, -- everything up to this id was taken
    sending        integer NOT NULL DEFAULT 0, -- up to this id a batch was under way, if above position
    delivered      integer NOT NULL DEFAULT 0,
    delivered_at   integer NOT NULL DEFAULT 0,
    missed         integer NOT NULL DEFAULT 0, -- retention was faster
    failing_since  integer NOT NULL DEFAULT 0,
    last_error     text    NOT NULL DEFAULT '',
    PRIMARY KEY (destination_id, stream)
) STRICT, WITHOUT ROWID;

-- yara: which carves were scanned, and with which set of files
CREATE TABLE carve_scans (
    carve_id   integer PRIMARY KEY REFERENCES carves (id) ON DELETE CASCADE,
    set_sha256 text    NOT NULL,
    status     text    NOT NULL,
    members    integer NOT NULL DEFAULT 0,
    matches    integer NOT NULL DEFAULT 0,
    error      text    NOT NULL DEFAULT '',
    scanned_at integer NOT NULL
) STRICT;

-- +goose Down
DROP TABLE carve_scans;
DROP TABLE destination_cursors;
DROP TABLE destinations;
DROP TABLE alerter_digests;
DROP TABLE alerters;
DROP TABLE alert_history;
DROP TABLE alert_onces;
DROP TABLE alert_events;
DROP TABLE alert_techniques;
DROP TABLE alerts;
DROP TABLE verdicts;
DROP TABLE indicators;
DROP TABLE rule_exceptions;
DROP TABLE rule_counters;
DROP TABLE rules;
DROP TABLE jobs;
