"""Django settings: one module, everything from the environment (docs/configuration.md).

Nothing here is required to import it, so that `storage_report` runs with an empty environment; what serving needs is
asked for by the system checks in dashboard/checks.py.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from . import env
from .logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = env.path("DASHBOARD_STATE_DIR", BASE_DIR / "var") or BASE_DIR / "var"

DEBUG = env.switch("DEBUG")
SECRET_KEY = env.secret("SECRET_KEY")

BASE_URL = env.text("DASHBOARD_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
try:
    _base = urlsplit(BASE_URL)
except ValueError:  # check E008 names it
    _base = urlsplit("")
TRUSTED_PROXIES = env.number("DASHBOARD_TRUSTED_PROXIES", 0)

# Always answered: loopback, where health checks ask, and our own address.
ALLOWED_HOSTS = sorted({"127.0.0.1", "localhost", _base.hostname or "127.0.0.1", *env.words("ALLOWED_HOSTS")})
CSRF_TRUSTED_ORIGINS = (
    [f"{_base.scheme}://{_base.netloc}"] if _base.scheme in {"http", "https"} and _base.netloc else []
)
FORCE_SCRIPT_NAME = _base.path or None
USE_X_FORWARDED_HOST = TRUSTED_PROXIES > 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None

INSTALLED_APPS = [
    "django.contrib.admin",  # its pages are not served; its log refers to people, so it must go along with them
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "csp",
    "axes",
    "django_q",
    "dashboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "dashboard.views.proxy_sign_in.ProxySignIn",
    "dashboard.views.visitors.SignInOrVisit",
    "dashboard.views.sessions.NotedSessions",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "dashboard.views.problems.ProblemPages",
]

ROOT_URLCONF = "registryui.urls"
WSGI_APPLICATION = "registryui.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.contexts.frame.frame",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.parse(
        env.secret("DATABASE_URL") or f"sqlite:///{STATE_DIR / 'strata.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # With Django's defaults eight threads and a worker meet "database is locked" within seconds; with these, none.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "dashboard.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "dashboard.services.registry_signin.RegistryBackend",
    "dashboard.services.proxy_signin.ProxyBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PROXY_USER_HEADER = env.text("DASHBOARD_PROXY_USER_HEADER")
PROXY_GROUPS_HEADER = env.text("DASHBOARD_PROXY_GROUPS_HEADER")
PROXY_ADDRESSES = env.words("DASHBOARD_PROXY_ADDRESSES")
OIDC_ISSUER = env.text("DASHBOARD_OIDC_ISSUER")
OIDC_CLIENT_ID = env.text("DASHBOARD_OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = env.secret("DASHBOARD_OIDC_CLIENT_SECRET")
OIDC_NAME = env.text("DASHBOARD_OIDC_NAME") or urlsplit(OIDC_ISSUER).hostname or ""
OIDC_USERNAME_CLAIM = env.text("DASHBOARD_OIDC_USERNAME_CLAIM", "preferred_username") or "preferred_username"
OIDC_GROUPS_CLAIM = env.text("DASHBOARD_OIDC_GROUPS_CLAIM")
OIDC_GROUPS = env.words("DASHBOARD_OIDC_GROUPS")
OIDC_SCOPES = env.text("DASHBOARD_OIDC_SCOPES", "openid profile") or "openid profile"
if OIDC_ISSUER:  # what it is made of is an extra
    AUTHENTICATION_BACKENDS.append("dashboard.services.oidc_signin.OidcBackend")
SIGN_IN_GROUPS = env.words("DASHBOARD_SIGN_IN_GROUPS")

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_NEVER_LOCKOUT_GET = True  # passwords come by POST; a provider's refusal comes back by GET and is no guess
AXES_LOCKOUT_CALLABLE = "dashboard.views.accounts.locked_out"
AXES_CLIENT_IP_CALLABLE = "dashboard.services.client_address.client_address"
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
# axes keeps what was posted with a failure; of the forms that ask for a password nothing of these fields.
AXES_SENSITIVE_PARAMETERS = [
    "password",
    "again",
    "password1",
    "password2",
    "old_password",
    "new_password1",
    "new_password2",
    "code",
    "text",
]

SESSION_COOKIE_NAME = "strata_session"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _base.scheme == "https"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "strata_csrf"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Silences Django's own deploy checks that do not fit: TLS and HSTS belong to the proxy in front.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.text("TIME_ZONE", "UTC")

STATIC_URL = f"{_base.path}/static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "registryui.assets.JoinedStaticFiles"},
}
WHITENOISE_MAX_AGE = 3600

Q_CLUSTER = {
    "name": "strata",
    "label": "Background work",
    "orm": "default",
    "workers": env.number("DASHBOARD_WORKERS", 2, minimum=1),
    "poll": 0.5,
    "timeout": 6 * 3600,
    "retry": 6 * 3600 + 600,
    "max_attempts": 3,
    "ack_failures": True,
    "daemonize_workers": False,
    "catch_up": False,
    "bulk": 1,
    "save_limit": 200,
}

LOGGING = logging_config(debug=DEBUG)

CREDENTIAL_KEYS = [key for key in env.secret("DASHBOARD_CREDENTIAL_KEYS").split(",") if key.strip()]
REGISTRY_URL = env.text("DASHBOARD_REGISTRY_URL").rstrip("/")
REGISTRY_SLUG = env.text("DASHBOARD_REGISTRY_SLUG", "default") or "default"
REGISTRY_PUBLIC_HOST = env.text("DASHBOARD_REGISTRY_PUBLIC_HOST")
REGISTRY_USERNAME = env.text("DASHBOARD_REGISTRY_USERNAME")
REGISTRY_PASSWORD = env.secret("DASHBOARD_REGISTRY_PASSWORD")
REGISTRY_CA_FILE = env.text("DASHBOARD_REGISTRY_CA_FILE")
REGISTRY_ACT_WITH = env.text("DASHBOARD_REGISTRY_ACT_WITH", "default") or "default"
REGISTRY_SIGN_IN = env.switch("DASHBOARD_REGISTRY_SIGN_IN")
HTPASSWD_FILE = env.text("DASHBOARD_HTPASSWD_FILE")
ALLOW_DIRECTORY_REMOVAL = env.switch("DASHBOARD_ALLOW_DIRECTORY_REMOVAL")
ALLOW_UPLOAD_REMOVAL = env.switch("DASHBOARD_ALLOW_UPLOAD_REMOVAL")
UPLOAD_PURGE_HOURS = env.number("DASHBOARD_UPLOAD_PURGE_HOURS", 168, minimum=1)
STORAGE_ROOT = env.text("DASHBOARD_STORAGE_ROOT")
GC_COMMAND = env.text("DASHBOARD_GC_COMMAND")
STORAGE_URL = env.text("DASHBOARD_STORAGE_URL")
STORAGE_ENDPOINT = env.text("DASHBOARD_STORAGE_ENDPOINT")
IN_FLIGHT_SECONDS = env.number("DASHBOARD_IN_FLIGHT_SECONDS", 3600)
SCAN_HOURS = env.number("DASHBOARD_SCAN_HOURS", 6)
"""0: scans by hand, and the full pass of the night."""
FULL_SCAN_HOUR = env.number("DASHBOARD_FULL_SCAN_HOUR", 3)
CHECK_MIB_PER_SECOND = env.number("DASHBOARD_CHECK_MIB_PER_SECOND", 50)
"""0: as fast as it goes."""
DEEP_CHECK_DAYS = env.number("DASHBOARD_DEEP_CHECK_DAYS", 0)
"""0: by hand alone."""
TRASH_DAYS = env.number("DASHBOARD_TRASH_DAYS", 30, minimum=1)
GRACE_DAYS = env.number("DASHBOARD_GRACE_DAYS", 7, minimum=1)
"""Untagged images are left alone for so long by the recipe of the collection page."""
EVENTS_TOKEN = env.secret("DASHBOARD_EVENTS_TOKEN")
METRICS_TOKEN = env.secret("DASHBOARD_METRICS_TOKEN")
EVENTS_KEEP_DAYS = env.number("DASHBOARD_EVENTS_KEEP_DAYS", 14, minimum=1)
ACTIVITY_DAYS = env.number("DASHBOARD_ACTIVITY_DAYS", 365, minimum=1)
AUDIT_DAYS = env.number("DASHBOARD_AUDIT_DAYS", 0)
"""0: the audit is never pruned."""

ALERT_EMAILS = env.words("DASHBOARD_ALERT_EMAILS")
ALERT_WEBHOOK_URL = env.secret("DASHBOARD_ALERT_WEBHOOK_URL")  # the address of a chat's webhook is a secret itself
ALERT_WEBHOOK_TOKEN = env.secret("DASHBOARD_ALERT_WEBHOOK_TOKEN")
_mail = env.mail_server("EMAIL_URL")
EMAIL_HOST, EMAIL_PORT = _mail.host, _mail.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail.user, _mail.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.starttls, _mail.tls
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL") or f"strata@{_base.hostname or 'localhost'}"

SUPERUSER_USERNAME = env.text("DJANGO_SUPERUSER_USERNAME")
SUPERUSER_PASSWORD = env.secret("DJANGO_SUPERUSER_PASSWORD")
