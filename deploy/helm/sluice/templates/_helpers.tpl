{{/* The processes: image, command, section of the values, and the settings that each requires. */}}
{{- define "sluice.processes" -}}
job-api: {service: job-api, package: job_api, command: api, values: jobApi, postgres: jobApi, source: true, store: false, api: true}
scheduler: {service: scheduler, package: scheduler, command: run, values: scheduler, postgres: scheduler, source: false, store: false, api: false}
exporter: {service: exporter, package: exporter, command: run, values: exporter, postgres: exporter, source: true, store: true, api: false}
{{- if .Values.delivery.keys.secret }}
deliverer: {service: exporter, package: exporter, prefix: delivery, command: deliver, values: deliverer, postgres: exporter, source: false, store: true, api: false}
{{- end }}
history-recorder: {service: history, package: history, command: recorder, values: historyRecorder, postgres: history, source: false, store: true, api: false}
history-estimates: {service: history, package: history, command: estimates, values: historyEstimates, postgres: history, source: false, store: true, api: false}
history-api: {service: history, package: history, command: api, values: historyApi, postgres: history, source: false, store: true, api: true}
{{- end }}

{{- define "sluice.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "sluice.image" -}}
{{- $image := .root.Values.image -}}
{{- if $image.registry }}{{ $image.registry }}/{{ end }}{{ $image.repository }}/{{ .service }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The pod-level part of the Pod Security Standard `restricted`. */}}
{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* The container-level part. */}}
{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "sluice.scheme" -}}
{{- if .Values.tls.secret }}https{{ else }}http{{ end }}
{{- end }}

{{/* The settings of one process that are not secret. */}}
{{- define "sluice.settings" -}}
{{- $prefix := printf "SLUICE_%s_" (.process.prefix | default .process.package | upper) -}}
{{- $values := index .root.Values .process.values -}}
SLUICE_KAFKA_BOOTSTRAP: {{ include "sluice.kafkaBootstrap" .root | quote }}
SLUICE_KAFKA_PARTITIONS: {{ .root.Values.kafka.partitions | quote }}
SLUICE_KAFKA_REPLICATION: {{ .root.Values.kafka.replication | quote }}
SLUICE_KAFKA_SECURITY_PROTOCOL: {{ .root.Values.kafka.securityProtocol | quote }}
SLUICE_KAFKA_SASL_MECHANISM: {{ .root.Values.kafka.saslMechanism | quote }}
{{- with .root.Values.kafka.secret }}
{{- if .name }}
{{- if hasPrefix "SASL" $.root.Values.kafka.securityProtocol }}
SLUICE_KAFKA_SASL_USERNAME_FILE: /secrets/kafka/{{ .usernameKey }}
SLUICE_KAFKA_SASL_PASSWORD_FILE: /secrets/kafka/{{ .passwordKey }}
{{- end }}
{{- if .caKey }}
SLUICE_KAFKA_CA_FILE: /secrets/kafka/{{ .caKey }}
{{- end }}
{{- if .certKey }}
SLUICE_KAFKA_CERT_FILE: /secrets/kafka/{{ .certKey }}
SLUICE_KAFKA_KEY_FILE: /secrets/kafka/{{ .keyKey }}
{{- end }}
{{- end }}
{{- end }}
SLUICE_LOG_LEVEL: {{ .root.Values.log.level | quote }}
SLUICE_LOG_FORMAT: {{ .root.Values.log.format | quote }}
{{ $prefix }}POSTGRES_FILE: /secrets/postgres/dsn
{{- if eq .process.package "job_api" }}
SLUICE_JOB_API_POSTGRES_SYSTEM_FILE: /secrets/postgres-system/dsn
{{- end }}
{{- if .process.source }}
{{ $prefix }}SOURCE_FILE: /secrets/source/dsn
{{- end }}
{{- if .process.store }}
{{ $prefix }}STORE: {{ required "store.url is where files go" .root.Values.store.url | quote }}
{{- end }}
{{- if .root.Values.tls.secret }}
{{ $prefix }}HTTP_TLS_CERT_FILE: /tls/http/tls.crt
{{ $prefix }}HTTP_TLS_KEY_FILE: /tls/http/tls.key
{{- end }}
{{- if and .process.api .root.Values.ingress.enabled }}
{{ $prefix }}HTTP_TRUSTED_PROXIES: {{ prepend .root.Values.ingress.trustedProxies "127.0.0.1" | join "," | quote }}
{{- end }}
{{- if eq .process.package "job_api" }}
SLUICE_JOB_API_HISTORY_URL: {{ include "sluice.scheme" .root }}://{{ include "sluice.name" .root }}-history-api:8080
{{- if and .root.Values.tls.secret .root.Values.tls.caKey }}
SLUICE_JOB_API_HISTORY_CA_FILE: /tls/http/{{ .root.Values.tls.caKey }}
{{- end }}
{{- end }}
{{- if and .process.api .root.Values.oidc.issuer }}
SLUICE_OIDC_ISSUER: {{ .root.Values.oidc.issuer | quote }}
SLUICE_OIDC_AUDIENCE: {{ required "oidc.audience belongs to oidc.issuer" .root.Values.oidc.audience | quote }}
{{- range $name, $value := .root.Values.oidc.settings }}
SLUICE_OIDC_{{ $name }}: {{ $value | quote }}
{{- end }}
{{- if and (eq .process.package "job_api") .root.Values.oidc.clientSecret.name }}
SLUICE_JOB_API_OIDC_CLIENT_SECRET_FILE: /secrets/oidc/client-secret
{{- end }}
{{- end }}
{{- if .root.Values.delivery.keys.secret }}
{{- if eq $prefix "SLUICE_DELIVERY_" }}
SLUICE_DELIVERY_PRIVATE_KEYS_FILE: /secrets/delivery/private-keys
{{- end }}
{{- if eq .process.package "job_api" }}
SLUICE_JOB_API_DELIVERY_PUBLIC_KEY_FILE: /secrets/delivery/public-key
{{- end }}
{{- if or (eq $prefix "SLUICE_DELIVERY_") (eq .process.package "job_api") }}
SLUICE_DELIVERY_ALLOWED_NETWORKS: {{ .root.Values.delivery.allowedNetworks | join "," | quote }}
{{- end }}
{{- end }}
{{- if eq $prefix "SLUICE_EXPORTER_" }}
SLUICE_EXPORTER_SLOTS: {{ $values.slots | quote }}
SLUICE_EXPORTER_DRAIN: PT{{ $values.drainSeconds }}S
{{- end }}
{{- range $name, $value := $values.settings }}
{{ $prefix }}{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "sluice.kafkaBootstrap" -}}
{{- if .Values.strimzi.enabled }}{{ .Values.strimzi.clusterName }}-kafka-bootstrap:9092{{ else }}{{ .Values.kafka.bootstrap }}{{ end }}
{{- end }}

{{/* The key of a process that takes part in deliveries: job-api seals credentials, deliverers open them. */}}
{{- define "sluice.deliveryKey" -}}
{{- $keys := .root.Values.delivery.keys -}}
{{- if and $keys.secret (eq (.process.prefix | default "") "delivery") -}}
{key: {{ $keys.privateKey }}, path: private-keys}
{{- else if and $keys.secret (eq .process.package "job_api") -}}
{key: {{ $keys.publicKey }}, path: public-key}
{{- end }}
{{- end }}

{{- define "sluice.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: postgres, mountPath: /secrets/postgres, readOnly: true}
{{- if eq .process.package "job_api" }}
- {name: postgres-system, mountPath: /secrets/postgres-system, readOnly: true}
{{- end }}
{{- if .process.source }}
- {name: source, mountPath: /secrets/source, readOnly: true}
{{- end }}
{{- if .root.Values.kafka.secret.name }}
- {name: kafka, mountPath: /secrets/kafka, readOnly: true}
{{- end }}
{{- if .root.Values.postgres.tlsSecret }}
- {name: postgres-tls, mountPath: /tls/postgres, readOnly: true}
{{- end }}
{{- if .root.Values.tls.secret }}
- {name: http-tls, mountPath: /tls/http, readOnly: true}
{{- end }}
{{- if and (eq .process.package "job_api") .root.Values.oidc.clientSecret.name }}
- {name: oidc, mountPath: /secrets/oidc, readOnly: true}
{{- end }}
{{- if include "sluice.deliveryKey" . }}
- {name: delivery, mountPath: /secrets/delivery, readOnly: true}
{{- end }}
{{- if and .process.store .root.Values.store.persistentVolumeClaim }}
- {name: store, mountPath: /store}
{{- end }}
{{- end }}

{{- define "sluice.volumes" -}}
{{- $postgres := index .root.Values.postgres .process.postgres -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: postgres
  secret: {secretName: {{ $postgres.secret }}, defaultMode: 0440, items: [{key: {{ $postgres.key }}, path: dsn}]}
{{- if eq .process.package "job_api" }}
{{- with .root.Values.postgres.jobApiSystem }}
- name: postgres-system
  secret: {secretName: {{ .secret }}, defaultMode: 0440, items: [{key: {{ .key }}, path: dsn}]}
{{- end }}
{{- end }}
{{- if .process.source }}
- name: source
  secret: {secretName: {{ .root.Values.source.secret }}, defaultMode: 0440, items: [{key: {{ .root.Values.source.key }}, path: dsn}]}
{{- end }}
{{- with .root.Values.kafka.secret.name }}
- name: kafka
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.postgres.tlsSecret }}
- name: postgres-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .root.Values.tls.secret }}
- name: http-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if and (eq .process.package "job_api") .root.Values.oidc.clientSecret.name }}
{{- with .root.Values.oidc.clientSecret }}
- name: oidc
  secret: {secretName: {{ .name }}, defaultMode: 0440, items: [{key: {{ .key }}, path: client-secret}]}
{{- end }}
{{- end }}
{{- with include "sluice.deliveryKey" . | fromYaml }}
{{- if .path }}
- name: delivery
  secret: {secretName: {{ $.root.Values.delivery.keys.secret }}, defaultMode: 0440, items: [{key: {{ .key }}, path: {{ .path }}}]}
{{- end }}
{{- end }}
{{- if and .process.store .root.Values.store.persistentVolumeClaim }}
- name: store
  persistentVolumeClaim: {claimName: {{ .root.Values.store.persistentVolumeClaim }}}
{{- end }}
{{- end }}

{{/* Before the processes when Kafka and PostgreSQL exist already; after them when this chart creates those too. */}}
{{- define "sluice.hook" -}}
{{- if or .Values.strimzi.enabled .Values.cloudnativePg.enabled }}post-install,pre-upgrade{{ else }}pre-install,pre-upgrade{{ end }}
{{- end }}

{{/* One egress rule: some ports, to some peers or to all. */}}
{{- define "sluice.egress" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
