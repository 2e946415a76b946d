//! Behind a real nginx, under a path of its own: one that takes the path away, and one that passes it on.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;

use super::{Answer, LIMIT, Server};

/// Ends with the test, whatever comes of it.
struct Nginx {
    child: Child,
    port: u16,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// Passes what is below `/team/dash/` to `upstream`: to the daemon's address, with or without a path.
    async fn start(folder: &Path, upstream: &str) -> Nginx {
        // Free when nginx binds it, unless another process is quicker: then the test fails, and says so.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let here = folder.display();
        let settings = format!(
            "worker_processes 1; pid {here}/nginx.pid; error_log {here}/nginx.log; daemon off; master_process off;
             events {{}}
             http {{
               access_log off; client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;
               fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
               server {{
                 listen 127.0.0.1:{port};
                 location /team/dash/ {{
                   proxy_pass {upstream};
                   proxy_http_version 1.1;
                   proxy_set_header Host $http_host;
                   proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                   proxy_set_header X-Forwarded-Proto https;
                   proxy_set_header Upgrade $http_upgrade;
                   proxy_set_header Connection $http_connection;
                 }}
               }}
             }}"
        );
        let path = folder.join("nginx.conf");
        std::fs::write(&path, settings).expect("writable");
        let command =
            Command::new("nginx").env("PATH", "/usr/sbin:/usr/bin:/bin").arg("-c").arg(&path).spawn();
        let nginx = Nginx { child: command.expect("`nginx` can be run; `tests/run` installs it"), port };
        let up = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, up).await.expect("nginx listens");
        nginx
    }

    async fn get(&self, server: &Server, target: &str) -> Answer {
        let head =
            format!("GET {target} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n\r\n", self.port);
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens");
        server.exchange(stream, head.as_bytes()).await.expect("an answer")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_under_a_path_works_behind_nginx() {
    for (base_path, upstream_path) in [("", "/"), ("/team/dash", "/team/dash/")] {
        let server = Server::with(|settings| settings.base_path = base_path.to_owned(), |_| None).await;
        let upstream = format!("http://{}{upstream_path}", server.address);
        let nginx = Nginx::start(server.home.path(), &upstream).await;
        for (target, status) in [
            ("/team/dash/", 200),
            ("/team/dash/about", 200),
            ("/team/dash/api/v1/system/health", 200),
            ("/team/dash/api/openapi.json", 200),
            ("/team/dash/nothing", 404),
            ("/about", 404),
        ] {
            assert_eq!(nginx.get(&server, target).await.status, status, "{base_path} {target}");
        }
        let folder = nginx.get(&server, "/team/dash/archive").await;
        assert_eq!((folder.status, folder.header("location")), (308, "./archive/"));

        let stream = TcpStream::connect(("127.0.0.1", nginx.port)).await.expect("it listens");
        let address = format!("ws://localhost:{}/team/dash/ws", nginx.port);
        let (mut socket, _) = client_async(address, stream).await.expect("it upgrades");
        let id = server.publish(1);
        let refreshed = async {
            loop {
                let frame = socket.next().await.expect("connected").expect("a frame");
                let frame: Value = serde_json::from_slice(&frame.into_data()).expect("JSON");
                if frame["event"] == "refresh" {
                    return frame["snapshot"].clone();
                }
            }
        };
        assert_eq!(timeout(LIMIT, refreshed).await.expect("in time"), id.as_str());
    }
}
