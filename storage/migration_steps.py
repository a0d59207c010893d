"""What each step of the ledger's schema creates, in SQL that SQLite and PostgreSQL read alike."""

TABLES_OF_THE_BATCH = (
    """CREATE TABLE symbols (
        symbol_id INTEGER NOT NULL PRIMARY KEY,
        symbol TEXT NOT NULL UNIQUE,
        source TEXT NOT NULL,
        is_active BOOLEAN NOT NULL,
        created_at TEXT NOT NULL,
        recompute_from DATE
    )""",
    """CREATE TABLE runs (
        run_id TEXT NOT NULL PRIMARY KEY,
        job_type TEXT NOT NULL,
        status TEXT NOT NULL,
        session DATE,
        triggered_by TEXT NOT NULL,
        started_at TEXT NOT NULL,
        completed_at TEXT,
        items_total INTEGER,
        items_failed INTEGER,
        summary TEXT,
        error TEXT,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        process_started TEXT NOT NULL,
        heartbeat_at TEXT NOT NULL,
        CONSTRAINT run_status CHECK (status IN ('running', 'completed', 'partial', 'failed'))
    )""",
    "CREATE UNIQUE INDEX one_running_run_per_job_type ON runs (job_type) WHERE status = 'running'",
    "CREATE INDEX runs_by_job_type ON runs (job_type, started_at)",
    """CREATE TABLE leases (
        layer TEXT NOT NULL PRIMARY KEY,
        token TEXT NOT NULL,
        owner TEXT NOT NULL,
        host TEXT NOT NULL,
        pid INTEGER NOT NULL,
        process_started TEXT NOT NULL,
        acquired_at TEXT NOT NULL,
        heartbeat_at TEXT NOT NULL
    )""",
    """CREATE TABLE releases (
        number INTEGER NOT NULL PRIMARY KEY,
        layer TEXT NOT NULL,
        session DATE,
        created_at TEXT NOT NULL,
        run_id TEXT REFERENCES runs (run_id),
        versions JSON NOT NULL
    )""",
    "CREATE INDEX releases_by_layer ON releases (layer, number)",
)

TABLES_OF_THE_SERVICE = (
    """CREATE TABLE api_keys (
        key_id TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE,
        prefix TEXT NOT NULL,
        scopes JSON NOT NULL,
        created_at TEXT NOT NULL,
        last_used_at TEXT,
        revoked_at TEXT
    )""",
    """CREATE TABLE portfolios (
        portfolio_id TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        account_name TEXT NOT NULL,
        account_type TEXT NOT NULL,
        starting_equity BIGINT,
        description TEXT,
        currency TEXT NOT NULL,
        is_active BOOLEAN NOT NULL,
        starting_session DATE,
        revision INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        deleted_at TEXT
    )""",
    """CREATE UNIQUE INDEX one_live_portfolio_per_account_name
        ON portfolios (owner, account_name) WHERE deleted_at IS NULL""",
    """CREATE TABLE positions (
        position_id TEXT NOT NULL PRIMARY KEY,
        portfolio_id TEXT NOT NULL REFERENCES portfolios (portfolio_id),
        number INTEGER NOT NULL,
        symbol TEXT NOT NULL,
        quantity BIGINT NOT NULL,
        entry_price BIGINT NOT NULL,
        entry_date DATE NOT NULL,
        investment_class TEXT NOT NULL,
        investment_subtype TEXT,
        underlying_symbol TEXT,
        strike_price BIGINT,
        expiration_date DATE,
        option_type TEXT,
        exit_date DATE,
        exit_price BIGINT,
        entered_session DATE,
        notes TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        deleted_at TEXT
    )""",
    "CREATE INDEX positions_by_portfolio ON positions (portfolio_id, number)",
    """CREATE TABLE marks (
        position_id TEXT NOT NULL REFERENCES positions (position_id),
        session DATE NOT NULL,
        price BIGINT NOT NULL,
        PRIMARY KEY (position_id, session)
    )""",
    """CREATE TABLE equity_changes (
        change_id TEXT NOT NULL PRIMARY KEY,
        portfolio_id TEXT NOT NULL REFERENCES portfolios (portfolio_id),
        change_type TEXT NOT NULL,
        amount BIGINT NOT NULL,
        change_date DATE NOT NULL,
        notes TEXT,
        created_by TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        deleted_at TEXT,
        CONSTRAINT equity_change_type CHECK (change_type IN ('CONTRIBUTION', 'WITHDRAWAL'))
    )""",
    "CREATE INDEX equity_changes_by_portfolio ON equity_changes (portfolio_id, change_date)",
    """CREATE TABLE symbol_queue (
        job_id TEXT NOT NULL PRIMARY KEY,
        symbol TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        portfolio_id TEXT REFERENCES portfolios (portfolio_id),
        owner TEXT,
        created_at TEXT NOT NULL,
        started_at TEXT,
        completed_at TEXT,
        error TEXT,
        host TEXT,
        pid INTEGER,
        process_started TEXT,
        heartbeat_at TEXT,
        CONSTRAINT symbol_job_status CHECK (status IN ('pending', 'processing', 'completed', 'failed'))
    )""",
    """CREATE UNIQUE INDEX one_open_job_per_symbol
        ON symbol_queue (symbol) WHERE status IN ('pending', 'processing')""",
    "CREATE INDEX symbol_queue_by_status ON symbol_queue (status, created_at)",
    """CREATE TABLE run_phases (
        run_id TEXT NOT NULL REFERENCES runs (run_id),
        phase_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        current INTEGER NOT NULL,
        total INTEGER NOT NULL,
        unit TEXT NOT NULL,
        started_at TEXT,
        completed_at TEXT,
        summary TEXT,
        PRIMARY KEY (run_id, phase_id),
        CONSTRAINT phase_status CHECK (status IN ('pending', 'running', 'completed', 'failed'))
    )""",
    """CREATE TABLE run_activity (
        run_id TEXT NOT NULL REFERENCES runs (run_id),
        number INTEGER NOT NULL,
        timestamp TEXT NOT NULL,
        message TEXT NOT NULL,
        level TEXT NOT NULL,
        PRIMARY KEY (run_id, number),
        CONSTRAINT activity_level CHECK (level IN ('info', 'warning', 'error'))
    )""",
)

WATCHING_JOBS = (
    "ALTER TABLE runs ADD COLUMN scope TEXT",
    "ALTER TABLE runs ADD COLUMN cancelled_by TEXT",
    """CREATE TABLE failures (
        failure_id TEXT NOT NULL PRIMARY KEY,
        run_id TEXT NOT NULL REFERENCES runs (run_id),
        batch_type TEXT NOT NULL,
        batch_date DATE,
        item_id TEXT NOT NULL,
        error_type TEXT NOT NULL,
        error_message TEXT NOT NULL,
        retry_count INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        resolved_at TEXT
    )""",
    """CREATE UNIQUE INDEX one_open_failure_per_item
        ON failures (batch_type, item_id) WHERE resolved_at IS NULL""",
    "CREATE INDEX failures_by_time ON failures (updated_at)",
)

LATE_SALES_OF_PARTS = ("ALTER TABLE positions ADD COLUMN held_session DATE",)

SECTORS_OF_POSITIONS = ("ALTER TABLE positions ADD COLUMN sector TEXT",)

PROVIDERS = (
    """CREATE TABLE providers (
        name TEXT NOT NULL PRIMARY KEY,
        windows JSON NOT NULL,
        outages INTEGER NOT NULL,
        left_alone_until TEXT,
        noted_at TEXT NOT NULL
    )""",
)

STEPS = (
    TABLES_OF_THE_BATCH,
    TABLES_OF_THE_SERVICE,
    WATCHING_JOBS,
    LATE_SALES_OF_PARTS,
    SECTORS_OF_POSITIONS,
    PROVIDERS,
)
