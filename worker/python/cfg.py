"""server.cfg and worker.cfg, as hooks see them. It comes behind hooks.py, in the same
module.
"""

class Setting:
    """cfg.settings["workers"]."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def get(self):
        return self.value

    def set(self, value):
        self.value = value


# Settings of gunicorn that gowsgi does not have, as they are if nobody sets them.
_ABSENT = {
    "asgi_disconnect_grace_period": 3,
    "asgi_lifespan": "auto",
    "asgi_loop": "auto",
    "ca_certs": None,
    "cert_reqs": 0,
    "certfile": None,
    "ciphers": None,
    "control_socket": None,
    "control_socket_disable": True,
    "control_socket_mode": 0o600,
    "dirty_apps": [],
    "dirty_graceful_timeout": 30,
    "dirty_threads": 1,
    "dirty_timeout": 300,
    "dirty_workers": 0,
    "do_handshake_on_connect": False,
    "http2_initial_window_size": 65535,
    "http2_max_concurrent_streams": 100,
    "http2_max_frame_size": 16384,
    "http2_max_header_list_size": 65536,
    "http_parser": "auto",
    "http_protocols": ["h1"],
    "keyfile": None,
    "paste": None,
    "protocol": "http",
    "raw_paste_global_conf": [],
    "root_path": "",
    "spew": False,
    "ssl_version": None,
    "suppress_ragged_eofs": True,
    "tmp_upload_dir": None,
    "uwsgi_allow_ips": ["127.0.0.1", "::1"],
    "worker_tmp_dir": None,
}

_SSL = (
    "keyfile certfile ssl_version cert_reqs ca_certs suppress_ragged_eofs"
    " do_handshake_on_connect ciphers"
).split()


def _nothing(*args):
    """A hook that nobody has defined."""


class Config:
    """server.cfg and worker.cfg (gunicorn: config.Config): the settings in force,
    whatever they come from. worker_class is its name; gunicorn has the class there."""

    def __init__(self, values, hooks):
        self.settings = {}
        undefined = dict.fromkeys(NAMES, _nothing)
        for source in (_ABSENT, undefined, values, hooks):
            for name, value in source.items():
                self.settings[name] = Setting(name, value)
        self.prog = "gowsgi"
        self.usage = None
        self.env_orig = os.environ.copy()

    def __getattr__(self, name):
        try:
            return self.__dict__["settings"][name].value
        except KeyError:
            raise AttributeError("No configuration setting for: %s" % name) from None

    def __setattr__(self, name, value):
        if name != "settings" and name in self.settings:
            raise AttributeError("Invalid access!")
        super().__setattr__(name, value)

    def __str__(self):
        width = max(map(len, self.settings))
        lines = []
        for name in sorted(self.settings):
            value = self.settings[name].value
            if callable(value):
                value = "<%s()>" % getattr(value, "__qualname__", type(value).__name__)
            lines.append("%-*s = %s" % (width, name, value))
        return "\n".join(lines)

    def set(self, name, value):
        if name not in self.settings:
            raise AttributeError("No configuration setting for: %s" % name)
        self.settings[name].set(value)

    @property
    def worker_class_str(self):
        name = self.settings["worker_class"].value
        return "gthread" if name == "sync" and self.threads > 1 else name

    @property
    def logger_class(self):
        return logger_class(self.settings["logger_class"].value or "gunicorn.glogging.Logger")

    @property
    def address(self):
        return [_address(text) for text in self.bind]

    @property
    def uid(self):
        return self.user

    @property
    def gid(self):
        return self.group

    @property
    def is_ssl(self):
        return bool(self.certfile or self.keyfile)

    @property
    def ssl_options(self):
        return {name: self.settings[name].value for name in _SSL}

    @property
    def env(self):
        return dict(entry.partition("=")[::2] for entry in self.raw_env)

    @property
    def paste_global_conf(self):
        return dict(entry.partition("=")[::2] for entry in self.raw_paste_global_conf)

    def forwarded_allow_networks(self):
        return _networks(self.forwarded_allow_ips)

    def proxy_allow_networks(self):
        return _networks(self.proxy_allow_ips)


def logger_class(path):
    """Returns the class of that path. A property would hide an AttributeError that
    says it is not there."""
    if path == "gunicorn.glogging.Logger":
        logs = sys.modules.get("_gowsgi_logs")
        return logs.Logger if logs else Log
    return resolve(path)


def _networks(texts):
    import ipaddress

    return [ipaddress.ip_network(text) for text in texts if text != "*"]


def _address(text):
    if text.startswith("unix:"):
        path = text[len("unix:") :]
        return path[2:] if path.startswith("//") else path
    if text.startswith("fd://"):
        return int(text[len("fd://") :])
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, "8000"
    return (host.strip("[]") or "0.0.0.0", int(port))
