-- +goose Up

-- database
CREATE TABLE settings (
    name  text PRIMARY KEY,
    value text NOT NULL
) STRICT;

-- jobs: who leads a piece of background work among replicas
CREATE TABLE leases (
    name       text   PRIMARY KEY,
    holder     text   NOT NULL,
    expires_at integer NOT NULL
) STRICT;

-- accounts
CREATE TABLE users (
    id            integer PRIMARY KEY AUTOINCREMENT,
    username      text   NOT NULL UNIQUE,
    password_hash text   NOT NULL,
    role          text   NOT NULL DEFAULT 'admin',
    created_at    integer NOT NULL,
    updated_at    integer NOT NULL,
    disabled_at   integer NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE sessions (
    id           integer PRIMARY KEY AUTOINCREMENT,
    user_id      integer NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    token_hash   blob   NOT NULL UNIQUE,
    kind         text   NOT NULL,
    parent_id    integer NOT NULL DEFAULT 0, -- of a ticket: the session that asked for it
    address      text   NOT NULL DEFAULT '',
    user_agent   text   NOT NULL DEFAULT '',
    created_at   integer NOT NULL,
    last_used_at integer NOT NULL,
    expires_at   integer NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE audit (
    id       integer PRIMARY KEY AUTOINCREMENT,
    at       integer NOT NULL,
    user_id  integer NOT NULL DEFAULT 0,
    username text   NOT NULL DEFAULT '',
    address  text   NOT NULL DEFAULT '',
    action   text   NOT NULL,
    subject  text   NOT NULL DEFAULT '',
    detail   text   NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX audit_at ON audit (at);

-- hosts
CREATE TABLE enroll_secrets (
    id           integer PRIMARY KEY AUTOINCREMENT,
    name         text   NOT NULL UNIQUE,
    secret_hash  blob   NOT NULL UNIQUE,
    tags         text   NOT NULL DEFAULT '[]',
    created_at   integer NOT NULL,
    expires_at   integer NOT NULL DEFAULT 0,
    revoked_at   integer NOT NULL DEFAULT 0,
    last_used_at integer NOT NULL DEFAULT 0,
    uses         integer NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE hosts (
    id               integer PRIMARY KEY AUTOINCREMENT,
    identifier       text   NOT NULL UNIQUE,
    instance_id      text   NOT NULL DEFAULT '',
    hardware_uuid    text   NOT NULL DEFAULT '',
    hardware_serial  text   NOT NULL DEFAULT '',
    hostname         text   NOT NULL DEFAULT '',
    computer_name    text   NOT NULL DEFAULT '',
    platform         text   NOT NULL,
    os_platform      text   NOT NULL DEFAULT '',
    arch             text   NOT NULL DEFAULT '',
    osquery_version  text   NOT NULL DEFAULT '',
    state            text   NOT NULL DEFAULT 'active',
    may_enroll       integer NOT NULL DEFAULT 0,
    clone_of         integer NOT NULL DEFAULT 0,
    secret_id        integer NOT NULL DEFAULT 0,
    enrollments      integer NOT NULL DEFAULT 1,
    last_ip          text   NOT NULL DEFAULT '',
    os_info          text   NOT NULL DEFAULT '{}',
    node_info        text   NOT NULL DEFAULT '{}',
    network_info     text   NOT NULL DEFAULT '[]',
    osquery_info     text   NOT NULL DEFAULT '{}',
    host_details     text   NOT NULL DEFAULT '{}',
    details_at       integer NOT NULL DEFAULT 0,
    enrolled_on      integer NOT NULL,
    updated_at       integer NOT NULL,
    last_enrollment  integer NOT NULL DEFAULT 0,
    last_checkin     integer NOT NULL DEFAULT 0,
    last_status      integer NOT NULL DEFAULT 0,
    last_result      integer NOT NULL DEFAULT 0,
    last_config      integer NOT NULL DEFAULT 0,
    last_query_read  integer NOT NULL DEFAULT 0,
    last_query_write integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX hosts_instance ON hosts (instance_id);
CREATE INDEX hosts_uuid ON hosts (hardware_uuid);
CREATE INDEX hosts_updated ON hosts (updated_at);

CREATE TABLE node_keys (
    key_hash    blob   PRIMARY KEY,
    host_id     integer NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    created_at  integer NOT NULL,
    valid_until integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX node_keys_host ON node_keys (host_id);

CREATE TABLE tags (
    id         integer PRIMARY KEY AUTOINCREMENT,
    value      text   NOT NULL UNIQUE,
    created_at integer NOT NULL
) STRICT;

CREATE TABLE host_tags (
    host_id integer NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    tag_id  integer NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
    PRIMARY KEY (host_id, tag_id)
) STRICT;
CREATE INDEX host_tags_tag ON host_tags (tag_id);

-- schedule
CREATE TABLE packs (
    id         integer PRIMARY KEY AUTOINCREMENT,
    name       text   NOT NULL UNIQUE,
    builtin    integer NOT NULL DEFAULT 0,
    document   text   NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL
) STRICT;

CREATE TABLE pack_tags (
    pack_id integer NOT NULL REFERENCES packs (id) ON DELETE CASCADE,
    tag     text   NOT NULL,
    PRIMARY KEY (pack_id, tag)
) STRICT;

CREATE TABLE configs (
    id         integer PRIMARY KEY AUTOINCREMENT,
    platform   text   NOT NULL,
    arch       text   NOT NULL,
    type       text   NOT NULL,
    active     integer NOT NULL DEFAULT 0,
    document   text   NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    UNIQUE (platform, arch, type)
) STRICT;

-- results
-- unix_time is the agent's own clock, in seconds as it came.
CREATE TABLE results (
    id          integer PRIMARY KEY AUTOINCREMENT,
    host_id     integer NOT NULL,
    name        text   NOT NULL,
    action      text   NOT NULL,
    columns     text   NOT NULL,
    decorations text   NOT NULL DEFAULT '',
    unix_time   integer NOT NULL,
    received_at integer NOT NULL,
    epoch       integer NOT NULL DEFAULT 0,
    counter     integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX results_host_name ON results (host_id, name, id);
CREATE INDEX results_received ON results (received_at);

CREATE TABLE status_logs (
    id          integer PRIMARY KEY AUTOINCREMENT,
    host_id     integer NOT NULL,
    severity    integer NOT NULL,
    filename    text   NOT NULL DEFAULT '',
    line        integer NOT NULL DEFAULT 0,
    message     text   NOT NULL,
    version     text   NOT NULL DEFAULT '',
    decorations text   NOT NULL DEFAULT '',
    unix_time   integer NOT NULL,
    received_at integer NOT NULL
) STRICT;
CREATE INDEX status_logs_host ON status_logs (host_id, id);
CREATE INDEX status_logs_received ON status_logs (received_at);

-- lines already taken: what an agent sends again is stored once. The key starts
-- with the line's own time, so that new keys land together; day is the day of arrival.
CREATE TABLE result_lines (
    line_key blob   NOT NULL,
    day      integer NOT NULL,
    PRIMARY KEY (line_key, day)
) STRICT, WITHOUT ROWID;

-- distributed
CREATE TABLE live_queries (
    id          integer PRIMARY KEY AUTOINCREMENT,
    sql         text   NOT NULL,
    description text   NOT NULL DEFAULT '',
    username    text   NOT NULL DEFAULT '',
    selection   text   NOT NULL DEFAULT '{}',
    created_at  integer NOT NULL,
    expires_at  integer NOT NULL,
    finished_at integer NOT NULL DEFAULT 0,
    cancelled_at integer NOT NULL DEFAULT 0,
    last_seq    integer NOT NULL DEFAULT 0,
    targeted    integer NOT NULL DEFAULT 0,
    sent        integer NOT NULL DEFAULT 0,
    answered    integer NOT NULL DEFAULT 0,
    empty       integer NOT NULL DEFAULT 0,
    failed      integer NOT NULL DEFAULT 0,
    expired     integer NOT NULL DEFAULT 0,
    cancelled   integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX live_queries_open ON live_queries (expires_at) WHERE finished_at = 0;

CREATE TABLE live_tasks (
    query_id    integer NOT NULL REFERENCES live_queries (id) ON DELETE CASCADE,
    host_id     integer NOT NULL,
    state       text   NOT NULL DEFAULT 'pending',
    sends       integer NOT NULL DEFAULT 0,
    sent_at     integer NOT NULL DEFAULT 0,
    finished_at integer NOT NULL DEFAULT 0,
    seq         integer NOT NULL DEFAULT 0,
    row_count   integer NOT NULL DEFAULT 0,
    rows        text   NOT NULL DEFAULT '[]',
    error       text   NOT NULL DEFAULT '',
    stats       text   NOT NULL DEFAULT '{}',
    PRIMARY KEY (query_id, host_id)
) STRICT;
CREATE INDEX live_tasks_open ON live_tasks (query_id) WHERE state IN ('pending', 'sent');
CREATE UNIQUE INDEX live_tasks_seq ON live_tasks (query_id, seq) WHERE seq > 0;

-- carves
CREATE TABLE carves (
    id              integer PRIMARY KEY AUTOINCREMENT,
    host_id         integer NOT NULL,
    session_id      text   NOT NULL UNIQUE,
    carve_guid      text   NOT NULL,
    request_id      text   NOT NULL DEFAULT '',
    query_id        integer NOT NULL DEFAULT 0,
    carve_size      integer NOT NULL,
    block_size      integer NOT NULL,
    block_count     integer NOT NULL,
    received_blocks integer NOT NULL DEFAULT 0,
    status          text   NOT NULL,
    format          text   NOT NULL DEFAULT '',
    archive         text   NOT NULL DEFAULT '',
    sha256          text   NOT NULL DEFAULT '',
    error           text   NOT NULL DEFAULT '',
    created_at      integer NOT NULL,
    updated_at      integer NOT NULL,
    completed_at    integer NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX carves_host ON carves (host_id);
CREATE INDEX carves_guid ON carves (carve_guid);
CREATE INDEX carves_open ON carves (updated_at) WHERE completed_at = 0;

CREATE TABLE carve_blocks (
    carve_id integer NOT NULL REFERENCES carves (id) ON DELETE CASCADE,
    block_id integer NOT NULL,
    size     integer NOT NULL,
    PRIMARY KEY (carve_id, block_id)
) STRICT;

CREATE TABLE carve_requests (
    host_id    integer NOT NULL,
    carve_guid text   NOT NULL,
    query_id   integer NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (host_id, carve_guid)
) STRICT;

-- +goose Down
DROP TABLE carve_requests;
DROP TABLE carve_blocks;
DROP TABLE carves;
DROP TABLE live_tasks;
DROP TABLE live_queries;
DROP TABLE result_lines;
DROP TABLE status_logs;
DROP TABLE results;
DROP TABLE configs;
DROP TABLE pack_tags;
DROP TABLE packs;
DROP TABLE host_tags;
DROP TABLE tags;
DROP TABLE node_keys;
DROP TABLE hosts;
DROP TABLE enroll_secrets;
DROP TABLE audit;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE leases;
DROP TABLE settings;
