{{- /* Names of CronJobs have 52 characters at most, of which "-full" takes five. */}}
{{- define "name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "stripe-enhance" .Release.Name -}}
{{- .Release.Name | trunc 47 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-stripe-enhance" .Release.Name | trunc 47 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: stripe-enhance
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "postgres" -}}
{{- if ne .Values.mode "service" }}true{{ end -}}
{{- end }}

{{- define "serves" -}}
{{- if ne .Values.mode "cronjob" }}true{{ end -}}
{{- end }}

{{- define "secretKeys" -}}
{{- $keys := list "STRIPE_SECRET_KEY" "ENHANCE_API_TOKEN" -}}
{{- if include "postgres" . }}{{ $keys = append $keys "DATABASE_URL" }}{{ end -}}
{{- if include "serves" . }}{{ $keys = concat $keys (list "ADMIN_API_KEY" "STRIPE_WEBHOOK_SECRET") }}{{ end -}}
{{- .Values.secrets.keys | default $keys | toJson -}}
{{- end }}

{{- /* All settings but the secrets themselves. */}}
{{- define "settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- if include "serves" . }}
LISTEN_ADDR: ":8080"
METRICS_ADDR: ":9090"
{{- end }}
{{- range $key := include "secretKeys" . | fromJsonArray }}
{{- if eq $key "DATABASE_URL" }}
DATABASE_URL: "" # takes out the one of the image, which is SQLite
{{- end }}
{{ $key }}_FILE: /run/secrets/stripe-enhance/{{ $key }}
{{- end }}
{{- end }}

{{- /* What the pods of all modes have: .root, .component, .args. */}}
{{- define "pod" -}}
{{- $v := .root.Values -}}
serviceAccountName: {{ include "name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
# On SIGTERM the change in hand is finished and recorded.
terminationGracePeriodSeconds: 90
{{- with $v.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  {{- if eq .component "serve" }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: stripe-enhance
    image: {{ include "image" .root }}
    {{- if ne $v.image.pullPolicy "IfNotPresent" }}
    imagePullPolicy: {{ $v.image.pullPolicy }}
    {{- end }}
    args: {{ toJson .args }}
    envFrom:
      - configMapRef:
          name: {{ include "name" .root }}
    {{- if eq .component "serve" }}
    ports:
      - name: http
        containerPort: 8080
        protocol: TCP
      - name: metrics
        containerPort: 9090
        protocol: TCP
    # The first start migrates the database, which may take minutes.
    startupProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 5
      failureThreshold: 120
    # Never asks the outside: a restart mends nothing at Stripe.
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 20
      timeoutSeconds: 5
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 5
      timeoutSeconds: 3
    {{- end }}
    resources: {{- toYaml $v.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: secrets
        mountPath: /run/secrets/stripe-enhance
        readOnly: true
      - name: data
        mountPath: /data
volumes:
  - name: secrets
    secret:
      secretName: {{ $v.secrets.name | default (include "name" .root) }}
      defaultMode: 0440
  {{- if include "postgres" .root }}
  - name: data # temporary files alone: the state is in PostgreSQL
    emptyDir:
      sizeLimit: 128Mi
  {{- end }}
{{- end }}
