import {COMPATS} from '../inspect/index.js';
import {USAGE} from './inspect-arguments.js';

export const HELP = `
${USAGE}

Return low-level information on containers, images, networks and volumes

Options:
      --compat string       Fields of which Docker release: ${COMPATS.join(', ')} (default 28)
      --completion string   Print a completion script for a shell: bash, fish, zsh
      --delims string       Delimiters of the template, separated by a comma or a space
                            (default '{{,}}', or '<<,>>' if the template has those only)
      --explain             Print how the template is parsed, and the nearest names for unknown fields
  -f, --format string       Format output using a custom template:
                            'json':             Print in JSON format, on one line
                            'jsonl':            Print each object on a line of its own
                            'pretty':           Print in JSON format, indented (default)
                            'TEMPLATE':         Print output using the given Go template
      --input string        Read objects from a JSON file such as the saved output of
                            'docker inspect', from standard input ('-'), from an image
                            archive ('docker save', OCI), or from an OCI image layout
      --jsonpath string     Print what a JSONPath finds, a value on each line
  -s, --size                Display total file sizes if the type is container
      --template string     Print a report: 'text', 'html', or a Handlebars file of your own
      --timeout duration    How long --wait-for waits, as in 500ms, 30s, 2m (default: for ever)
      --type string         Only inspect objects of the given type
      --version             Print the version
      --wait-for string     Exit as soon as this template renders 'true' for each object
      --watch               Print again whenever an object has changed, until interrupted
      --help                Print usage

Examples:
  ts-inspect --format '{{.NetworkSettings.IPAddress}}' web
  ts-inspect --jsonpath '$..IPAddress' web
  ts-inspect --template html web > web.html
  ts-inspect --wait-for '{{eq .State.Status "exited"}}' --timeout 30s --format '{{.State.ExitCode}}' job
  ts-inspect --input app.tar --format '{{.Config.Cmd}}'
`;
