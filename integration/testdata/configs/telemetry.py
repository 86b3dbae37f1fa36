# An exporter with a thread of its own has to be started in each worker.
from opentelemetry import trace
from opentelemetry.sdk import BatchSpanProcessor, Resource, TracerProvider

workers = 2
worker_class = "gthread"
threads = 4
timeout = 120
accesslog = "-"
errorlog = "-"
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'


def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
    resource = Resource.create(attributes={"service.name": "shop", "worker": worker.pid})
    trace.set_tracer_provider(TracerProvider(resource=resource))
    trace.get_tracer_provider().add_span_processor(BatchSpanProcessor())
